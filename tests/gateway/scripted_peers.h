// The store, the validator and other servers' key endpoints, each doing what the test says: for failures, races and
// counts that the honest fakes do not make.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "matrix/refusal.h"
#include "services/gateway/key_source.h"
#include "services/gateway/peer_events.h"
#include "services/gateway/store_client.h"
#include "services/gateway/validator_client.h"

namespace postern::gateway {

class ScriptedStore : public StoreClient {
 public:
  std::function<absl::StatusOr<store::v1::EventContext>(const store::v1::GetEventContextRequest&)> on_context;
  std::function<absl::StatusOr<store::v1::TemplateContext>(const store::v1::GetTemplateContextRequest&)> on_template;
  std::function<absl::StatusOr<store::v1::PersistEventResponse>(const store::v1::PersistEventRequest&)> on_persist;
  std::function<absl::StatusOr<store::v1::LeaseExtremitiesResponse>(const store::v1::LeaseExtremitiesRequest&)>
      on_lease;
  std::function<absl::Status(const store::v1::CreateRoomRequest&)> on_create;
  std::function<absl::Status(const store::v1::SeedEventsRequest&)> on_seed;
  std::function<absl::StatusOr<store::v1::LeaseDeliveriesResponse>(const store::v1::LeaseDeliveriesRequest&)>
      on_lease_deliveries;
  std::function<absl::StatusOr<store::v1::ReportDeliveriesResponse>(const store::v1::ReportDeliveriesRequest&)>
      on_report;
  std::function<absl::Status(const store::v1::EndBackOffRequest&)> on_end_back_off;
  std::function<absl::StatusOr<store::v1::ShareRatesResponse>(const store::v1::ShareRatesRequest&)> on_share_rates;
  std::function<absl::StatusOr<store::v1::GetMissingEventsResponse>(const store::v1::GetMissingEventsRequest&)>
      on_missing_events;
  std::function<absl::StatusOr<store::v1::EventForPeer>(const store::v1::GetEventForPeerRequest&)> on_event_for_peer;
  std::function<absl::StatusOr<store::v1::GetAuthChainResponse>(const store::v1::GetAuthChainRequest&)> on_auth_chain;
  std::function<absl::StatusOr<store::v1::GetStateIdsResponse>(const store::v1::GetStateIdsRequest&)> on_state_ids;
  std::function<absl::StatusOr<store::v1::GetStatePageResponse>(const store::v1::GetStatePageRequest&)> on_state_page;
  std::function<absl::StatusOr<store::v1::GetRoomEventsResponse>(const store::v1::GetRoomEventsRequest&)>
      on_room_events;
  std::function<absl::StatusOr<store::v1::ListRoomServersResponse>(const store::v1::ListRoomServersRequest&)>
      on_room_servers;
  std::function<absl::StatusOr<store::v1::JoinConditions>(const store::v1::GetJoinConditionsRequest&)> on_conditions;
  std::function<absl::StatusOr<store::v1::ReceivedTransaction>(const store::v1::GetReceivedTransactionRequest&)>
      on_received_transaction;
  std::function<absl::StatusOr<store::v1::ReceivedTransaction>(const store::v1::KeepReceivedTransactionRequest&)>
      on_keep_transaction;
  std::function<absl::StatusOr<store::v1::GetStateResponse>(const store::v1::GetStateRequest&)> on_state;
  std::function<absl::StatusOr<store::v1::GetBackfillResponse>(const store::v1::GetBackfillRequest&)> on_backfill;
  std::function<absl::StatusOr<store::v1::Profile>(const store::v1::GetProfileRequest&)> on_profile;
  std::function<absl::StatusOr<store::v1::AliasTarget>(const store::v1::GetAliasRequest&)> on_alias;
  absl::Status on_keys;  // what the two calls about keys answer

  absl::StatusOr<store::v1::EventContext> GetEventContext(const rpc::CallContext&,
                                                          const store::v1::GetEventContextRequest& request) override {
    return on_context ? on_context(request) : Down();
  }
  absl::StatusOr<store::v1::TemplateContext> GetTemplateContext(
      const rpc::CallContext&, const store::v1::GetTemplateContextRequest& request) override {
    return on_template ? on_template(request) : Down();
  }
  absl::StatusOr<store::v1::PersistEventResponse> PersistEvent(const rpc::CallContext&,
                                                               const store::v1::PersistEventRequest& request) override {
    const std::lock_guard lock(mutex_);
    persists_.push_back(request);
    return on_persist ? on_persist(request) : Down();
  }
  absl::StatusOr<store::v1::LeaseExtremitiesResponse> LeaseExtremities(
      const rpc::CallContext&, const store::v1::LeaseExtremitiesRequest& request) override {
    return on_lease ? on_lease(request) : Down();
  }
  absl::Status CreateRoom(const rpc::CallContext&, const store::v1::CreateRoomRequest& request) override {
    return on_create ? on_create(request) : Down();
  }
  absl::Status SeedEvents(const rpc::CallContext&, const store::v1::SeedEventsRequest& request) override {
    return on_seed ? on_seed(request) : Down();
  }
  absl::StatusOr<store::v1::LeaseDeliveriesResponse> LeaseDeliveries(
      const rpc::CallContext&, const store::v1::LeaseDeliveriesRequest& request) override {
    return on_lease_deliveries ? on_lease_deliveries(request) : Down();
  }
  absl::StatusOr<store::v1::ReportDeliveriesResponse> ReportDeliveries(
      const rpc::CallContext&, const store::v1::ReportDeliveriesRequest& request) override {
    return on_report ? on_report(request) : Down();
  }
  absl::Status EndBackOff(const rpc::CallContext&, const store::v1::EndBackOffRequest& request) override {
    return on_end_back_off ? on_end_back_off(request) : Down();
  }
  absl::StatusOr<store::v1::ShareRatesResponse> ShareRates(const rpc::CallContext&,
                                                           const store::v1::ShareRatesRequest& request) override {
    return on_share_rates ? on_share_rates(request) : Down();
  }

  absl::StatusOr<store::v1::GetMissingEventsResponse> GetMissingEvents(
      const rpc::CallContext&, const store::v1::GetMissingEventsRequest& request) override {
    return on_missing_events ? on_missing_events(request) : Down();
  }
  absl::StatusOr<store::v1::EventForPeer> GetEventForPeer(const rpc::CallContext&,
                                                          const store::v1::GetEventForPeerRequest& request) override {
    return on_event_for_peer ? on_event_for_peer(request) : Down();
  }
  absl::StatusOr<store::v1::GetAuthChainResponse> GetAuthChain(const rpc::CallContext&,
                                                               const store::v1::GetAuthChainRequest& request) override {
    return on_auth_chain ? on_auth_chain(request) : Down();
  }
  absl::StatusOr<store::v1::GetStateIdsResponse> GetStateIds(const rpc::CallContext&,
                                                             const store::v1::GetStateIdsRequest& request) override {
    return on_state_ids ? on_state_ids(request) : Down();
  }
  absl::StatusOr<store::v1::GetStatePageResponse> GetStatePage(const rpc::CallContext&,
                                                               const store::v1::GetStatePageRequest& request) override {
    return on_state_page ? on_state_page(request) : Down();
  }
  absl::StatusOr<store::v1::GetRoomEventsResponse> GetRoomEvents(
      const rpc::CallContext&, const store::v1::GetRoomEventsRequest& request) override {
    return on_room_events ? on_room_events(request) : Down();
  }
  absl::StatusOr<store::v1::ListRoomServersResponse> ListRoomServers(
      const rpc::CallContext&, const store::v1::ListRoomServersRequest& request) override {
    return on_room_servers ? on_room_servers(request) : Down();
  }
  absl::StatusOr<store::v1::JoinConditions> GetJoinConditions(
      const rpc::CallContext&, const store::v1::GetJoinConditionsRequest& request) override {
    return on_conditions ? on_conditions(request) : Down();
  }
  absl::StatusOr<store::v1::ReceivedTransaction> GetReceivedTransaction(
      const rpc::CallContext&, const store::v1::GetReceivedTransactionRequest& request) override {
    return on_received_transaction ? on_received_transaction(request) : Down();
  }
  absl::StatusOr<store::v1::ReceivedTransaction> KeepReceivedTransaction(
      const rpc::CallContext&, const store::v1::KeepReceivedTransactionRequest& request) override {
    return on_keep_transaction ? on_keep_transaction(request) : Down();
  }
  absl::StatusOr<store::v1::GetStateResponse> GetState(const rpc::CallContext&,
                                                       const store::v1::GetStateRequest& request) override {
    return on_state ? on_state(request) : Down();
  }
  absl::StatusOr<store::v1::GetBackfillResponse> GetBackfill(const rpc::CallContext&,
                                                             const store::v1::GetBackfillRequest& request) override {
    return on_backfill ? on_backfill(request) : Down();
  }
  absl::StatusOr<store::v1::Profile> GetProfile(const rpc::CallContext&,
                                                const store::v1::GetProfileRequest& request) override {
    return on_profile ? on_profile(request) : Down();
  }
  absl::StatusOr<store::v1::AliasTarget> GetAlias(const rpc::CallContext&,
                                                  const store::v1::GetAliasRequest& request) override {
    return on_alias ? on_alias(request) : Down();
  }
  absl::StatusOr<store::v1::GetServerKeysResponse> GetServerKeys(
      const rpc::CallContext&, const store::v1::GetServerKeysRequest& request) override {
    const std::lock_guard lock(mutex_);
    ++key_reads_;
    if (!on_keys.ok()) return on_keys;
    store::v1::GetServerKeysResponse response;
    for (const std::string& name : request.server_names()) {
      if (const auto found = keys_.find(name); found != keys_.end()) *response.add_servers() = found->second;
    }
    return response;
  }
  absl::Status PutServerKeys(const rpc::CallContext&, const store::v1::PutServerKeysRequest& request) override {
    const std::lock_guard lock(mutex_);
    ++key_writes_;
    if (!on_keys.ok()) return on_keys;
    for (const auto& server : request.servers()) {
      keys_[server.server_name()] = server;
      if (server.keys().empty()) keys_.erase(server.server_name());
    }
    return absl::OkStatus();
  }

  std::vector<store::v1::PersistEventRequest> persists() const { return Locked(persists_); }
  int key_reads() const { return Locked(key_reads_); }
  int key_writes() const { return Locked(key_writes_); }
  std::map<std::string, store::v1::StoredServerKeys> keys() const { return Locked(keys_); }
  void SetKeys(const store::v1::StoredServerKeys& keys) {
    const std::lock_guard lock(mutex_);
    keys_[keys.server_name()] = keys;
  }

 private:
  static absl::Status Down() { return matrix::Refuse(matrix::Reason::kStoreDown, "scripted"); }
  template <typename T>
  T Locked(const T& value) const {
    const std::lock_guard lock(mutex_);
    return value;
  }

  mutable std::mutex mutex_;
  std::vector<store::v1::PersistEventRequest> persists_;
  std::map<std::string, store::v1::StoredServerKeys> keys_;
  int key_reads_ = 0;
  int key_writes_ = 0;
};

class ScriptedValidator : public ValidatorClient {
 public:
  std::function<absl::StatusOr<matrix::v1::Verdict>(const validator::v1::ValidateRequest&)> on_validate;
  std::function<absl::StatusOr<validator::v1::AuthorizeResponse>(const validator::v1::AuthorizeRequest&)> on_authorize;

  absl::StatusOr<matrix::v1::Verdict> Validate(const rpc::CallContext&,
                                               const validator::v1::ValidateRequest& request) override {
    return on_validate ? on_validate(request) : Down();
  }
  absl::StatusOr<validator::v1::AuthorizeResponse> Authorize(const rpc::CallContext&,
                                                             const validator::v1::AuthorizeRequest& request) override {
    if (on_authorize) return on_authorize(request);
    return Down();
  }

 private:
  static absl::Status Down() { return matrix::Refuse(matrix::Reason::kValidatorDown, "scripted"); }
};

/// Other servers, asked for missing events: away, unless a test says more.
class ScriptedPeerEvents : public PeerEvents {
 public:
  std::function<absl::StatusOr<matrix::JsonArray>(const matrix::ServerName&, const MissingEventsQuery&, absl::Time)>
      on_missing_events;

  absl::StatusOr<matrix::JsonArray> MissingEvents(const matrix::ServerName& server, const MissingEventsQuery& query,
                                                  absl::Time deadline) override {
    if (on_missing_events) return on_missing_events(server, query, deadline);
    return matrix::Refuse(matrix::Reason::kPeerUnavailable, "scripted");
  }
};

/// Other servers' keys. Closed, it lets those who ask wait until it is opened.
class ScriptedKeySource : public KeySource {
 public:
  absl::StatusOr<FetchedKeys> FetchKeys(const matrix::ServerName& server, absl::Duration) override {
    std::unique_lock lock(mutex_);
    ++fetches_;
    ++asking_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return open_; });
    --asking_;
    const auto found = keys_.find(server.text());
    if (found == keys_.end()) return matrix::Refuse(matrix::Reason::kOriginKeyUnavailable, "scripted: no such server");
    return found->second;
  }

  void Set(const matrix::ServerKeys& keys) { Set(FetchedKeys{keys, std::nullopt, "direct"}); }
  void Set(const FetchedKeys& keys) {
    const std::lock_guard lock(mutex_);
    keys_.insert_or_assign(keys.keys.server_name, keys);
  }
  void Remove(const std::string& server) {
    const std::lock_guard lock(mutex_);
    keys_.erase(server);
  }
  void Close() { SetOpen(false); }
  void Open() { SetOpen(true); }
  void WaitUntilAsked(int by) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return asking_ >= by; });
  }
  int fetches() const {
    const std::lock_guard lock(mutex_);
    return fetches_;
  }

 private:
  void SetOpen(bool open) {
    const std::lock_guard lock(mutex_);
    open_ = open;
    changed_.notify_all();
  }

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, FetchedKeys> keys_;
  bool open_ = true;
  int asking_ = 0;
  int fetches_ = 0;
};

/// A clock that stands until it is moved.
class StandingClock {
 public:
  explicit StandingClock(absl::Time now) : now_(now) {}
  absl::Time now() const {
    const std::lock_guard lock(mutex_);
    return now_;
  }
  void Advance(absl::Duration by) {
    const std::lock_guard lock(mutex_);
    now_ += by;
  }

 private:
  mutable std::mutex mutex_;
  absl::Time now_;
};

}  // namespace postern::gateway
