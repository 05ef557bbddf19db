// That one thread serves all callbacks of gRPC while it is asked to, and that all go on afterwards.
#include "rpc/one_poller.h"

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>

#include "rpc/channel.h"
#include "rpc/server_host.h"
#include "tests/rpc/telling_service.h"

namespace postern::rpc {
namespace {

const TransportSecurity kPlaintext{.plaintext = true};

class ThreadsThatCallBack : public testing::Test {
 protected:
  /// On which threads so many calls at once are called back, each of which takes a moment.
  std::set<std::thread::id> Of(int calls) {
    struct Call {
      grpc::ClientContext context;
      const grpc::Slice nothing;
      grpc::ByteBuffer request{&nothing, 1}, response;
    };
    std::mutex mutex;
    std::condition_variable called_back;
    std::set<std::thread::id> threads;
    std::vector<Call> begun(static_cast<std::size_t>(calls));
    int ended = 0;
    for (Call& call : begun) {
      stub_.UnaryCall(&call.context, "/grpc.health.v1.Health/Check", {}, &call.request, &call.response,
                      [&](const grpc::Status& status) {
                        EXPECT_TRUE(status.ok()) << status.error_message();
                        const std::lock_guard lock(mutex);
                        threads.insert(std::this_thread::get_id());
                        ++ended;
                        called_back.notify_one();
                      });
    }
    std::unique_lock lock(mutex);
    EXPECT_TRUE(called_back.wait_for(lock, std::chrono::seconds(60), [&] { return ended == calls; }));
    return threads;
  }

  TellingService service_{[](const CallContext&) { return absl::OkStatus(); }};
  std::unique_ptr<ServerHost> server_ =
      ServerHost::Start({.listen = "127.0.0.1:0", .security = kPlaintext}, {&service_}).value();
  grpc::GenericStub stub_{OpenChannel("127.0.0.1:" + std::to_string(server_->port()), kPlaintext).value()};
};

TEST_F(ThreadsThatCallBack, AreOneWhileThereIsOnePoller) {
  Of(1);
  {
    const OnePoller one;
    EXPECT_GE(one.kept(), 1U);
    EXPECT_EQ(Of(500).size(), 1U);
  }
  EXPECT_FALSE(Of(500).empty());
}

TEST_F(ThreadsThatCallBack, AreAsManyAsBeforeOnceItIsGone) {
  for (int time = 0; time < 3; ++time) {
    const OnePoller one;
    EXPECT_GE(one.kept(), 1U);
  }
  const OnePoller again;
  EXPECT_EQ(Of(100).size(), 1U);
}

}  // namespace
}  // namespace postern::rpc
