// A server and its channels: what crosses between services, and what happens when one of them goes.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <future>

#include "absl/time/clock.h"
#include "rpc/channel.h"
#include "rpc/server_host.h"
#include "rpc/status_codec.h"
#include "tests/rpc/telling_service.h"

namespace postern::rpc {
namespace {

using matrix::Reason;
using matrix::ReasonOf;

constexpr absl::Duration kPatience = absl::Seconds(10);
const TransportSecurity kPlaintext{.plaintext = true};

std::string AddressOf(const ServerHost& server) { return "127.0.0.1:" + std::to_string(server.port()); }

std::unique_ptr<ServerHost> Serve(TellingService& service, const std::string& listen = "127.0.0.1:0") {
  return ServerHost::Start({.listen = listen, .security = kPlaintext}, {&service}).value();
}

absl::Status Ok(const CallContext&) { return absl::OkStatus(); }

TEST(Rpc, CarriesDeadlineAndTrace) {
  std::promise<CallContext> seen;
  TellingService service([&seen](const CallContext& call) {
    seen.set_value(call);
    return absl::OkStatus();
  });
  const auto server = Serve(service);
  const CallContext sent{absl::Now() + absl::Seconds(7), telemetry::NewTrace()};
  ASSERT_TRUE(Call(OpenChannel(AddressOf(*server), kPlaintext).value(), sent).ok());
  const CallContext received = seen.get_future().get();
  EXPECT_EQ(received.trace.trace_id, sent.trace.trace_id);
  EXPECT_EQ(received.trace.span_id, sent.trace.span_id);
  EXPECT_LT(absl::AbsDuration(received.deadline - sent.deadline), absl::Seconds(1));
}

TEST(Rpc, CarriesEveryReason) {
  std::atomic<Reason> next = Reason::kNone;  // gRPC's own synchronisation is invisible to the thread sanitizer
  TellingService service([&next](const CallContext&) { return matrix::Refuse(next, "which \xff check"); });
  const auto server = Serve(service);
  const auto channel = OpenChannel(AddressOf(*server), kPlaintext).value();
  for (int number = 1; number <= static_cast<int>(Reason::kLast); ++number) {
    next = static_cast<Reason>(number);
    const absl::Status status = Call(channel);
    EXPECT_EQ(ReasonOf(status), next);
    EXPECT_EQ(matrix::DetailOf(status), "which ? check");
  }
}

TEST(Rpc, EndsAtTheDeadline) {
  std::promise<void> release;
  TellingService service([held = release.get_future().share()](const CallContext&) {
    held.wait();
    return absl::OkStatus();
  });
  const auto server = Serve(service);
  const auto channel = OpenChannel(AddressOf(*server), kPlaintext).value();
  EXPECT_EQ(ReasonOf(Call(channel, absl::Milliseconds(100))), Reason::kDeadlineExceeded);
  release.set_value();
}

TEST(Rpc, SaysThatNobodyIsThere) {
  const auto channel = OpenChannel("127.0.0.1:1", kPlaintext).value();
  EXPECT_EQ(ReasonOf(Call(channel)), Reason::kValidatorDown);
}

TEST(Rpc, TakesNoCompressedMessage) {
  std::atomic<bool> called = false;
  TellingService service([&called](const CallContext&) {
    called = true;
    return absl::OkStatus();
  });
  const auto server = Serve(service);
  const auto stub =
      validator::v1::Validator::NewStub(grpc::CreateChannel(AddressOf(*server), grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  context.set_compression_algorithm(GRPC_COMPRESS_GZIP);
  context.set_deadline(absl::ToChronoTime(absl::Now() + kPatience));
  validator::v1::AuthorizeRequest request;
  request.set_pdu(std::string(100'000, ' '));
  validator::v1::AuthorizeResponse response;
  EXPECT_FALSE(stub->Authorize(&context, request, &response).ok());
  EXPECT_FALSE(called);
}

TEST(Channel, LeavesADeadReplica) {
  TellingService first_service(Ok), second_service(Ok);
  auto first = Serve(first_service);
  const auto second = Serve(second_service);
  const auto channel = OpenChannel(AddressOf(*first) + "," + AddressOf(*second), kPlaintext).value();
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(Call(channel).ok());
  first->Shutdown(absl::Now());
  first.reset();
  Call(channel).IgnoreError();  // may meet the connection that is closing
  for (int i = 0; i < 50; ++i) EXPECT_TRUE(Call(channel).ok());
}

TEST(Channel, UsesEveryReplica) {
  std::atomic<int> first_calls = 0, second_calls = 0;
  const auto counting = [](std::atomic<int>& calls) {
    return [&calls](const CallContext&) { return ++calls, absl::OkStatus(); };
  };
  TellingService first_service(counting(first_calls)), second_service(counting(second_calls));
  const auto first = Serve(first_service), second = Serve(second_service);
  const auto channel = OpenChannel(AddressOf(*first) + "," + AddressOf(*second), kPlaintext).value();
  const absl::Time patience = absl::Now() + kPatience;
  while ((first_calls == 0 || second_calls == 0) && absl::Now() < patience) EXPECT_TRUE(Call(channel).ok());
  EXPECT_GT(first_calls, 0);
  EXPECT_GT(second_calls, 0);
}

TEST(Channel, FindsAReplicaThatCameBack) {
  TellingService service(Ok);
  auto server = Serve(service);
  const std::string address = AddressOf(*server);
  const auto channel = OpenChannel(address, kPlaintext).value();
  ASSERT_TRUE(Call(channel).ok());
  server.reset();
  EXPECT_FALSE(Call(channel).ok());
  server = Serve(service, address);
  const absl::Time patience = absl::Now() + kPatience;
  bool found = false;
  while (!found && absl::Now() < patience) found = Call(channel).ok();
  EXPECT_TRUE(found);
}

TEST(ServerHost, FinishesWhatIsInFlight) {
  std::promise<void> entered, release;
  TellingService service([&entered, held = release.get_future().share()](const CallContext&) {
    entered.set_value();
    held.wait();
    return absl::OkStatus();
  });
  const auto server = Serve(service);
  const auto channel = OpenChannel(AddressOf(*server), kPlaintext).value();
  auto answer = std::async(std::launch::async, [&] { return Call(channel); });
  entered.get_future().wait();
  auto ended = std::async(std::launch::async, [&] { server->Shutdown(absl::Now() + kPatience); });
  release.set_value();
  EXPECT_TRUE(answer.get().ok());
  ended.get();
}

TEST(ServerHost, NamesTheAddressItCouldNotHave) {
  TellingService service(Ok);
  const auto server = Serve(service);
  const auto second = ServerHost::Start({.listen = AddressOf(*server), .security = kPlaintext}, {&service});
  EXPECT_EQ(second.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(second.status().message()), testing::HasSubstr(AddressOf(*server)));
}

TEST(StatusCodec, ReadsAnUnknownNumberAsInternal) {
  matrix::v1::Refusal refusal;
  refusal.set_reason(static_cast<matrix::v1::Reason>(9999));
  const grpc::Status status(grpc::StatusCode::PERMISSION_DENIED, "", refusal.SerializeAsString());
  EXPECT_EQ(ReasonOf(FromGrpc(status, Reason::kStoreDown)), Reason::kInternal);
}

TEST(StatusCodec, ReadsTheTransportsOwnTrouble) {
  const auto reason_of = [](grpc::StatusCode code) {
    return ReasonOf(FromGrpc({code, "trouble"}, Reason::kStoreDown));
  };
  EXPECT_EQ(reason_of(grpc::StatusCode::UNAVAILABLE), Reason::kStoreDown);
  EXPECT_EQ(reason_of(grpc::StatusCode::DEADLINE_EXCEEDED), Reason::kDeadlineExceeded);
  EXPECT_EQ(reason_of(grpc::StatusCode::CANCELLED), Reason::kStoreDown);
  EXPECT_EQ(reason_of(grpc::StatusCode::RESOURCE_EXHAUSTED), Reason::kOverloaded);
  EXPECT_EQ(reason_of(grpc::StatusCode::UNIMPLEMENTED), Reason::kInternal);
  EXPECT_EQ(reason_of(grpc::StatusCode::UNKNOWN), Reason::kInternal);
  EXPECT_EQ(ReasonOf(FromGrpc({grpc::StatusCode::UNAVAILABLE, "", "no refusal\xff"}, Reason::kStoreDown)),
            Reason::kStoreDown);
  EXPECT_TRUE(FromGrpc(ToGrpc(absl::OkStatus()), Reason::kStoreDown).ok());
}

}  // namespace
}  // namespace postern::rpc
