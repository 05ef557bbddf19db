// What an orchestrator and a curious developer find on every server: health and reflection.
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include "rpc/channel.h"
#include "rpc/server_host.h"
#include "tests/rpc/telling_service.h"

namespace postern::rpc {
namespace {

const TransportSecurity kPlaintext{.plaintext = true};

grpc::ByteBuffer Bytes(const std::string& text) {
  const grpc::Slice slice(text);
  return {&slice, 1};
}

std::string TextOf(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  buffer.Dump(&slices).ok();
  std::string text;
  for (const grpc::Slice& slice : slices) text.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return text;
}

// Calls by name and bytes, as a program would that has none of our code.
class WellKnownServices : public testing::Test {
 protected:
  WellKnownServices()
      : server_(ServerHost::Start({.listen = "127.0.0.1:0", .security = kPlaintext}, {&service_}).value()),
        stub_(OpenChannel("127.0.0.1:" + std::to_string(server_->port()), kPlaintext).value()) {}

  // SERVING is 1, NOT_SERVING 2; field 1 of HealthCheckResponse.
  std::string Health() {
    grpc::ClientContext context;
    grpc::CompletionQueue queue;
    const auto call = stub_.PrepareUnaryCall(&context, "/grpc.health.v1.Health/Check", Bytes(""), &queue);
    call->StartCall();
    grpc::ByteBuffer response;
    grpc::Status status;
    call->Finish(&response, &status, this);
    void* tag = nullptr;
    bool ok = false;
    EXPECT_TRUE(queue.Next(&tag, &ok));
    return status.ok() ? TextOf(response) : status.error_message();
  }

  TellingService service_{[](const CallContext&) { return absl::OkStatus(); }};
  std::unique_ptr<ServerHost> server_;
  grpc::GenericStub stub_;
};

TEST_F(WellKnownServices, HealthFollowsReadiness) {
  EXPECT_EQ(Health(), "\x08\x02");
  server_->SetServing(true);
  EXPECT_EQ(Health(), "\x08\x01");
  server_->SetServing(false);
  EXPECT_EQ(Health(), "\x08\x02");
}

TEST_F(WellKnownServices, ReflectionNamesTheServices) {
  grpc::ClientContext context;
  grpc::CompletionQueue queue;
  const auto call =
      stub_.PrepareCall(&context, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", &queue);
  void* tag = nullptr;
  bool ok = false;
  call->StartCall(this);
  ASSERT_TRUE(queue.Next(&tag, &ok) && ok);
  call->Write(Bytes(std::string("\x3a\x01*", 3)), this);  // list_services
  ASSERT_TRUE(queue.Next(&tag, &ok) && ok);
  grpc::ByteBuffer response;
  call->Read(&response, this);
  ASSERT_TRUE(queue.Next(&tag, &ok) && ok);
  EXPECT_NE(TextOf(response).find("postern.validator.v1.Validator"), std::string::npos);
  context.TryCancel();
  grpc::Status status;
  call->Finish(&status, this);
  queue.Next(&tag, &ok);
}

}  // namespace
}  // namespace postern::rpc
