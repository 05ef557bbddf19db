// Carries the precompiled gRPC headers; see rpc/CMakeLists.txt.
