// What gRPC would do for every call and nobody here asks for.
#pragma once

#include <grpc/grpc.h>

#include <array>

namespace postern::rpc {

/// Arguments of channels and servers that are set to 0. Messages between the services are not compressed, so that none
/// is larger than it looks; channelz, a count of all calls, is not served.
inline constexpr std::array kUnusedFeatures{GRPC_ARG_ENABLE_CHANNELZ, GRPC_ARG_ENABLE_PER_MESSAGE_COMPRESSION,
                                            GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION};

}  // namespace postern::rpc
