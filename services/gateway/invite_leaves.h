// Leaves of rooms on other servers that a user of ours was invited to and rejected: made in the background, as often as
// it takes (pitfalls L19, L20, L23).
#pragma once

#include <condition_variable>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "absl/time/time.h"
#include "postern/store/v1/received_invites.pb.h"
#include "rpc/call_context.h"
#include "rpc/worker_pool.h"
#include "services/gateway/back_off.h"
#include "services/gateway/invite_store_client.h"
#include "services/gateway/remote_leave.h"
#include "services/gateway/srv_order.h"
#include "telemetry/metrics.h"

namespace postern::gateway {

struct InviteLeavesOptions {
  /// Leaves under way at once.
  std::size_t at_once = 8;
  /// For one server: template and leave together.
  absl::Duration attempt_timeout = absl::Seconds(30);
  /// How often the store is asked for what is due.
  absl::Duration pause = absl::Seconds(1);
  /// How long a leave stays with a gateway that is not heard of any more.
  absl::Duration lease = absl::Seconds(30);
  /// So many times in a row all servers have to say that there is nothing to leave, until they are believed.
  unsigned denials_to_believe = 8;
  BackOff back_off;
};

/// One of several that share the leaves: each is one gateway's at a time, by a lease in the store. Counts
/// postern_gateway_invite_leaves_total by result.
class InviteLeaves {
 public:
  InviteLeaves(const EventSigner& signer, RemoteLeaves& leaves, InviteStoreClient& store, Clock clock, Chance chance,
               telemetry::Metrics& metrics, InviteLeavesOptions options = {});
  ~InviteLeaves();

  void Start();
  /// An invite was rejected here: what is due is asked for at once. Thread-safe, never blocks.
  void Nudge();
  /// Begins nothing new, waits for the servers that are being asked, and gives back what is not done.
  void Shutdown();

 private:
  using Key = std::tuple<std::string, std::string, std::string>;

  void Run();
  bool TellReports();
  bool TakeDue();
  void Leave(const store::v1::ReceivedInvite& invite);
  /// By each server in turn until one takes it.
  store::v1::ReportInviteLeaveRequest Try(const store::v1::ReceivedInvite& invite);
  store::v1::ReportInviteLeaveRequest NotLeft(const store::v1::ReceivedInvite& invite, bool all_denied,
                                              const std::string& error);
  bool IsStopping();
  rpc::CallContext Call() const;

  const EventSigner& signer_;
  RemoteLeaves& leaves_;
  InviteStoreClient& store_;
  const Clock clock_;
  const Chance chance_;
  telemetry::Metrics& metrics_;
  const InviteLeavesOptions options_;
  const std::string holder_;

  std::mutex mutex_;
  std::condition_variable wake_;
  bool nudged_ = false;
  bool stopping_ = false;
  /// Under way, or with an outcome that the store does not know yet.
  std::map<Key, store::v1::InviteName> busy_;
  std::vector<store::v1::ReportInviteLeaveRequest> reports_;
  rpc::WorkerPool workers_;
  std::thread thread_;
};

}  // namespace postern::gateway
