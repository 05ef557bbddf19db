// The calling side of calls that share a message (proto/postern/rpc/v1/together.proto): what is asked while an answer
// is on its way goes together in the next message.
#pragma once

#include <grpcpp/client_context.h>
#include <grpcpp/support/status.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "matrix/refusal.h"
#include "postern/rpc/v1/together.pb.h"
#include "rpc/call_context.h"

namespace postern::rpc {

struct TogetherLimits {
  /// As many as wait are sent although the message before has no answer yet: more would gain little.
  std::size_t enough = 8;
  /// Nobody waits longer than this for the message before to be answered.
  absl::Duration longest_wait = absl::Milliseconds(5);
  /// In one message: at most what a server takes (64).
  std::size_t most = 32;
  std::size_t most_bytes = 1U << 20;
};

/// Calls of one method to one tier. A call that finds no message under way is sent at once. Thread-safe.
class CallsTogether {
 public:
  /// Starts the rpc: the generated stub's method.
  using Start =
      std::function<void(grpc::ClientContext*, const v1::Calls*, v1::Answers*, std::function<void(grpc::Status)>)>;

  /// `sent` is told of each message.
  CallsTogether(Start start, std::function<void()> sent, TogetherLimits limits = {});
  ~CallsTogether();

  /// Sends the request, waits, and returns the response, each a serialised message. Not after `call.deadline`. Refuses
  /// as the call alone would; what the transport says becomes what FromGrpc makes of it. MustCallAlone: the server
  /// knows no such method. Then for a while no message is tried.
  absl::StatusOr<std::string> Call(const CallContext& call, std::string request, matrix::Reason unreachable);
  /// Sends these, in their order, in a message of their own that waits for none; answers them in that order.
  std::vector<absl::StatusOr<std::string>> CallInOrder(const CallContext& call, std::vector<std::string> requests,
                                                       matrix::Reason unreachable);
  static bool MustCallAlone(const absl::Status& status);
  /// Calls that are in no message yet.
  std::size_t waiting() const;

 private:
  struct Slot;
  static std::shared_ptr<Slot> MakeSlot(const CallContext& call, std::string request);
  static absl::StatusOr<std::string> AnswerOf(Slot& slot, const grpc::Status* said, matrix::Reason unreachable);
  class Message;
  class Queue;
  const std::shared_ptr<Queue> queue_;
};

}  // namespace postern::rpc
