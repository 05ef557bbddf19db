#include "services/store/store_calls.h"

#include "absl/time/clock.h"
#include "matrix/refusal.h"
#include "rpc/call_spans.h"
#include "rpc/status_codec.h"

namespace postern::store {

using matrix::Reason;
using matrix::Refuse;

absl::Status WhyNotBegun(bool given_up, const rpc::CallContext& context) {
  if (given_up) return Refuse(Reason::kCancelled, "the caller gave up before the call was begun");
  if (context.deadline <= absl::Now()) {
    return Refuse(Reason::kDeadlineExceeded, "the deadline passed before the call was begun");
  }
  return absl::OkStatus();
}

absl::Status QueueIsFull() { return Refuse(Reason::kOverloaded, "the store's queue is full"); }

StoreCalls::Reactor* StoreCalls::Run(Call* call, std::string_view method,
                                     std::function<absl::Status(const rpc::CallContext&)> work) {
  Reactor* reactor = call->DefaultReactor();
  const absl::Time received = absl::Now();
  const bool taken = workers_.Post([this, call, reactor, method, received, work = std::move(work)] {
    const rpc::CallContext context = rpc::FromServerContext(*call);
    absl::Status status = WhyNotBegun(call->IsCancelled(), context);
    if (status.ok()) status = work(context);
    rpc::SayServed(context, method, received, status);
    Finish(reactor, method, status, received);
  });
  if (!taken) Finish(reactor, method, QueueIsFull(), received);
  return reactor;
}

void StoreCalls::Finish(Reactor* reactor, std::string_view method, const absl::Status& status, absl::Time received) {
  Count(method, status, absl::Now() - received);
  reactor->Finish(rpc::ToGrpc(status));
}

void StoreCalls::Count(std::string_view method, const absl::Status& status, absl::Duration duration) {
  const std::string_view answer = status.ok() ? "ok" : matrix::RefusalOf(matrix::ReasonOf(status)).name;
  metrics_.Count("postern_rpc_requests_total", {{"method", method}, {"answer", answer}});
  metrics_.Observe("postern_rpc_seconds", duration, {{"method", method}});
  counted_();
}

}  // namespace postern::store
