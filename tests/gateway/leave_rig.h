// A gateway's routes without its processes: a room, a member of a remote server, and that server's leave on its way.
// Each part may be altered before it is sent.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "services/gateway/backfill_route.h"
#include "services/gateway/event_auth_route.h"
#include "services/gateway/event_route.h"
#include "services/gateway/event_signer.h"
#include "services/gateway/http_router.h"
#include "services/gateway/key_query_route.h"
#include "services/gateway/key_ring.h"
#include "services/gateway/key_route.h"
#include "services/gateway/knock_routes.h"
#include "services/gateway/leave_route.h"
#include "services/gateway/make_join_route.h"
#include "services/gateway/make_leave_route.h"
#include "services/gateway/missing_events.h"
#include "services/gateway/missing_events_route.h"
#include "services/gateway/peer_auth.h"
#include "services/gateway/query_routes.h"
#include "services/gateway/room_draft.h"
#include "services/gateway/send_join_route.h"
#include "services/gateway/send_route.h"
#include "services/gateway/state_ids_route.h"
#include "services/gateway/state_route.h"
#include "services/gateway/version_route.h"
#include "tests/gateway/remote_server.h"
#include "tests/gateway/scripted_peers.h"
#include "tests/gateway/scripted_states.h"
#include "tests/gateway/test_signer.h"

namespace postern::gateway {

inline constexpr std::string_view kAnn = "@ann:remote.example:8448";
inline constexpr std::string_view kCreator = "@boss:here.example";

/// create, the creator's join, power levels, join rules and, if not empty, the member's `membership`.
RoomDraft MakeRoom(const std::string& version, std::string_view member, std::string_view membership,
                   const EventSigner& signer, std::string_view create_content = "{}", std::string_view acl_content = "",
                   std::string_view join_rules = R"({"join_rule":"public"})");

struct LeaveRigOptions {
  std::string version = "10";
  /// Ann's.
  std::string membership = "invite";
  std::string create_content = "{}";
  std::string acl_content = {};
  AddressLimits address_limits = {};
  OriginLimiterOptions origin_limits = {};
  std::size_t workers = 4;
  std::size_t queue_limit = 1000;
  absl::Duration longest_wait = absl::InfiniteDuration();
  bool v1_send_leave = true;
  std::size_t gaps_at_once = 4;
  std::string join_rules = R"({"join_rule":"public"})";
  std::size_t join_answers = 2;
  TemplateLimits templates = {};
};

class LeaveRig {
 public:
  explicit LeaveRig(LeaveRigOptions options = {});
  ~LeaveRig();

  const matrix::RoomRules& rules() const { return *matrix::FindRoomRules(options_.version); }

  /// Ann's leave, as a template would have it, neither hashed nor signed; or what else she makes of her membership.
  matrix::JsonObject Leave() const { return Own("leave"); }
  matrix::JsonObject Own(std::string_view membership) const;
  std::string EventId(const matrix::JsonObject& event) const;
  std::string SendLeavePath(const matrix::JsonObject& event, std::string_view api = "v2") const;
  /// The path of another endpoint for the event: "v2/send_join".
  std::string SendPath(const matrix::JsonObject& event, std::string_view endpoint) const;
  http::Request PutTo(std::string_view endpoint, const matrix::JsonObject& event, std::string_view query = "") const;
  std::string MakeLeavePath(std::string_view user = kAnn) const;
  /// Signed by the remote server; `content` must outlive the call only.
  http::Request Put(const matrix::JsonObject& event, std::string_view api = "v2") const;

  /// What the listener would get: OnHead, then OnRequest, and the answer.
  http::Response Send(http::Request request);
  http::Response SendLeave(const matrix::JsonObject& event, std::string_view api = "v2") {
    return Send(Put(event, api));
  }

  LeaveRigOptions options_;
  StandingClock clock_{absl::FromUnixSeconds(1700000000)};
  telemetry::Metrics metrics_;
  EventSigner signer_ = TestSigner();
  const RemoteServer remote_;
  ScriptedStore store_;
  ScriptedValidator validator_;
  ScriptedKeySource source_;
  ScriptedPeerEvents peers_;
  RoomDraft room_;

  /// What the store's and the validator's scripts give, unless a test puts scripts of its own in.
  store::v1::EventContext context_;
  std::function<void(matrix::v1::Verdict&)> alter_verdict_ = [](auto&) {};
  std::function<void(const std::string& room_id, std::uint32_t forward_extremities)> committed_ = [](auto&, auto) {};
  std::atomic<int> validated_ = 0;
  std::optional<validator::v1::ValidateRequest> last_validated_;

  rpc::WorkerPool fetchers_{4, 64};
  KeyRing key_ring_;
  PeerAuth peer_auth_;
  AddressLimiter addresses_;
  ThreadAlarm alarm_;
  OriginLimiter origins_;
  RoomTurns turns_{8};
  RememberedAccess access_;
  MissingEvents missing_events_;
  ScriptedPeerStates peer_states_;
  ScriptedFetchedStates fetched_states_;
  StateBeforeGap states_before_gaps_;
  MissingEvents missing_before_sent_;
  RememberedTemplates templates_of_leaves_{options_.templates};
  LeaveRoute leave_v1_;
  LeaveRoute leave_v2_;
  InvitesUnderWay invites_under_way_;
  MakeLeaveRoute make_leave_;
  MakeJoinRoute make_join_;
  LargeAnswers join_answers_;
  rpc::WorkerPool answer_readers_{2, 16};
  SendJoinRoute join_v1_;
  SendJoinRoute join_v2_;
  MakeKnockRoute make_knock_;
  SendKnockRoute send_knock_;
  LargeAnswers large_answers_;
  EventRoute event_route_;
  StateIdsRoute state_ids_route_;
  EventAuthRoute event_auth_route_;
  MissingEventsRoute missing_events_route_;
  SendRoute send_route_;
  StateRoute state_route_;
  LargeAnswers backfills_;
  BackfillRoute backfill_route_;
  DirectoryRoute directory_route_;
  ProfileRoute profile_route_;
  KeyRoute key_route_;
  KeyQueryRoute key_query_;
  VersionRoute version_route_;
  rpc::WorkerPool workers_;
  std::unique_ptr<HttpRouter> router_;

 private:
  Clock clock() {
    return [this] { return clock_.now(); };
  }
  LeaveServices Services() {
    return {store_,
            validator_,
            signer_,
            key_ring_,
            metrics_,
            turns_,
            access_,
            2,
            [this](const std::string& room_id, std::uint32_t extremities) { committed_(room_id, extremities); },
            &templates_of_leaves_};
  }
  void Script();
};

/// The body, with what comes after its first part; nullopt where that breaks off.
std::optional<std::string> WholeBody(const http::Response& response);

/// The errcode of an error body; "" if there is none.
std::string ErrcodeOf(const http::Response& response);

}  // namespace postern::gateway
