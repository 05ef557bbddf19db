#include "services/gateway/gateway.h"

#include <grpcpp/channel.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "http/admin_server.h"
#include "http/certificate_expiry.h"
#include "http/http_listener.h"
#include "matrix/refusal.h"
#include "rpc/channel.h"
#include "rpc/server_host.h"
#include "rpc/span_exporter.h"
#include "rpc/worker_pool.h"
#include "services/gateway/address_limiter.h"
#include "services/gateway/admin_service.h"
#include "services/gateway/alarm.h"
#include "services/gateway/backfill_route.h"
#include "services/gateway/dns_resolver.h"
#include "services/gateway/dummy_events.h"
#include "services/gateway/event_auth_route.h"
#include "services/gateway/event_route.h"
#include "services/gateway/event_signer.h"
#include "services/gateway/federation_client.h"
#include "services/gateway/federation_sender.h"
#include "services/gateway/http_router.h"
#include "services/gateway/invite_handshake.h"
#include "services/gateway/invite_leaves.h"
#include "services/gateway/invite_route.h"
#include "services/gateway/invite_store_client.h"
#include "services/gateway/invites_service.h"
#include "services/gateway/key_query_route.h"
#include "services/gateway/key_ring.h"
#include "services/gateway/key_route.h"
#include "services/gateway/key_source.h"
#include "services/gateway/knock_routes.h"
#include "services/gateway/large_answers.h"
#include "services/gateway/leave_route.h"
#include "services/gateway/make_join_route.h"
#include "services/gateway/make_leave_route.h"
#include "services/gateway/missing_events.h"
#include "services/gateway/missing_events_route.h"
#include "services/gateway/origin_limiter.h"
#include "services/gateway/peer_addresses.h"
#include "services/gateway/peer_auth.h"
#include "services/gateway/peer_events.h"
#include "services/gateway/peer_health.h"
#include "services/gateway/query_routes.h"
#include "services/gateway/remote_leave.h"
#include "services/gateway/room_author.h"
#include "services/gateway/send_join_route.h"
#include "services/gateway/send_route.h"
#include "services/gateway/server_discovery.h"
#include "services/gateway/shared_rates.h"
#include "services/gateway/signing_key_files.h"
#include "services/gateway/state_ids_route.h"
#include "services/gateway/state_route.h"
#include "services/gateway/version_route.h"
#include "services/gateway/well_known.h"
#include "services/gateway/withdrawn_invites.h"
#include "telemetry/log.h"
#include "telemetry/metrics.h"
#include "telemetry/spans.h"

namespace postern::gateway {
namespace {

constexpr std::size_t kKeyFetchThreads = 16;
constexpr std::size_t kKeyFetchQueue = 1024;
constexpr std::size_t kAdminThreads = 8;  // an invite waits for another server
constexpr std::size_t kAdminQueue = 64;
/// Answers to joins of large rooms at once, of all servers and of one, and the threads that read them.
constexpr std::size_t kJoinAnswers = 16;
constexpr std::size_t kJoinAnswersOfOne = 2;
constexpr std::size_t kAnswerReaders = 2;
constexpr std::size_t kBodyLimitBytes = 96 * 1024;  // 64 KiB, and slack for white space and escapes
constexpr std::size_t kMostBackfills = 16;          // answers of 6 MiB each at most
constexpr std::size_t kMostBackfillsOfOne = 4;
constexpr std::string_view kSendLeaveV1 = "/_matrix/federation/v1/send_leave/{}/{}";
constexpr std::string_view kSendLeaveV2 = "/_matrix/federation/v2/send_leave/{}/{}";
constexpr std::string_view kMakeLeave = "/_matrix/federation/v1/make_leave/{}/{}";
constexpr std::string_view kMakeJoin = "/_matrix/federation/v1/make_join/{}/{}";
constexpr std::string_view kSendJoinV1 = "/_matrix/federation/v1/send_join/{}/{}";
constexpr std::string_view kSendJoinV2 = "/_matrix/federation/v2/send_join/{}/{}";
constexpr std::string_view kMakeKnock = "/_matrix/federation/v1/make_knock/{}/{}";
constexpr std::string_view kSendKnock = "/_matrix/federation/v1/send_knock/{}/{}";
constexpr std::string_view kInviteV1 = "/_matrix/federation/v1/invite/{}/{}";
constexpr std::string_view kInviteV2 = "/_matrix/federation/v2/invite/{}/{}";
constexpr std::string_view kEvent = "/_matrix/federation/v1/event/{}";
constexpr std::string_view kStateIds = "/_matrix/federation/v1/state_ids/{}";
constexpr std::string_view kEventAuth = "/_matrix/federation/v1/event_auth/{}/{}";
constexpr std::string_view kMissingEvents = "/_matrix/federation/v1/get_missing_events/{}";
constexpr std::string_view kSend = "/_matrix/federation/v1/send/{}";
constexpr std::string_view kState = "/_matrix/federation/v1/state/{}";
constexpr std::string_view kBackfill = "/_matrix/federation/v1/backfill/{}";
constexpr std::string_view kDirectory = "/_matrix/federation/v1/query/directory";
constexpr std::string_view kProfile = "/_matrix/federation/v1/query/profile";
constexpr std::string_view kVersion = "/_matrix/federation/v1/version";
constexpr std::string_view kKeys = "/_matrix/key/v2/server";
constexpr std::string_view kKeyQuery = "/_matrix/key/v2/query";
constexpr std::string_view kKeyQueryOfOne = "/_matrix/key/v2/query/{}";
constexpr std::string_view kKeyQueryOfOneKey =
    "/_matrix/key/v2/query/{}/{}";  // of old servers; the key id is not looked at

struct Peers {
  std::shared_ptr<grpc::Channel> store;
  std::shared_ptr<grpc::Channel> validator;
};

http::ClientOptions ToOthers(const GatewayConfig& config) {
  return {.allow_private_networks = config.allow_private_networks,
          .allowed_networks = config.allowed_networks,
          .insecure_tls = config.insecure_federation_tls,
          .ca_file = config.federation_ca_file};
}

std::vector<std::unique_ptr<KeySource>> SourcesOfKeys(const GatewayConfig& config, FederationClient& federation) {
  std::vector<std::unique_ptr<KeySource>> sources;
  for (const Notary& notary : config.notaries) {
    sources.push_back(std::make_unique<NotaryKeys>(federation, notary, absl::Now));
  }
  sources.insert(config.notaries_first ? sources.end() : sources.begin(),
                 std::make_unique<DirectKeys>(federation, absl::Now));
  return sources;
}

/// How many threads one origin may have: not all, or nobody else is served meanwhile.
std::int64_t MostThreads(const GatewayConfig& config) { return config.workers - config.workers / 8 - 1; }

OriginLimiterOptions LimitsOfOrigins(const GatewayConfig& config) {
  OriginLimiterOptions options = config.rc_federation;
  options.max_working = MostThreads(config);
  options.longest_wait = config.longest_wait;
  return options;
}

InviteLeavesOptions LeavesOfInvites(const GatewayConfig& config) {
  InviteLeavesOptions options;
  options.attempt_timeout = std::min(options.attempt_timeout, config.sender.request_timeout);
  options.lease = config.sender.lease;
  options.back_off = config.sender.back_off;
  return options;
}

/// Members are in the order in which they need each other; they end in the reverse one.
class RunningGateway : public Gateway {
 public:
  RunningGateway(const GatewayConfig& config, matrix::ServerName name, std::unique_ptr<SigningKeyFiles> key_files,
                 SigningKeys keys, const Peers& peers)
      : config_(config),
        key_files_(std::move(key_files)),
        signer_(name, std::move(keys)),
        store_(MakeGrpcStoreClient(peers.store, {metrics_})),
        validator_(MakeGrpcValidatorClient(peers.validator, {metrics_})),
        own_store_(MakeGrpcStoreClient(peers.store, {metrics_, Caller::kBackground})),
        own_validator_(MakeGrpcValidatorClient(peers.validator, {metrics_, Caller::kBackground})),
        dns_({.servers = config.dns_servers}),
        peer_addresses_(dns_, {config.allow_private_networks, config.allowed_networks}),
        well_known_(peer_addresses_, ToOthers(config), {}, absl::Now, FairChance(), metrics_),
        discovery_(dns_, peer_addresses_, well_known_, {}, absl::Now, FairChance(), metrics_),
        federation_(discovery_, ToOthers(config)),
        key_sources_(SourcesOfKeys(config, federation_), absl::Now),
        health_({{"store", peers.store}, {"validator", peers.validator}}),
        fetchers_(kKeyFetchThreads, kKeyFetchQueue),
        key_ring_(*store_, key_sources_, fetchers_, absl::Now, metrics_),
        peer_auth_(name, key_ring_, absl::Now),
        addresses_({.per_second = static_cast<double>(config.address_per_second),
                    .burst = static_cast<double>(config.address_burst)},
                   metrics_),
        origins_(LimitsOfOrigins(config), absl::Now, alarm_, metrics_),
        shared_rates_(origins_, *own_store_, absl::Now, metrics_),
        author_(signer_, *store_, *validator_, absl::Now),
        invites_(signer_, *store_, federation_, key_ring_, absl::Now),
        own_author_(signer_, *own_store_, *own_validator_, absl::Now),
        dummy_events_(name, own_author_, *own_store_, alarm_, absl::Now, metrics_),
        sender_(signer_, federation_, *own_store_, absl::Now, FairChance(), metrics_, config.sender),
        invite_store_(MakeGrpcInviteStoreClient(peers.store, {metrics_})),
        own_invite_store_(MakeGrpcInviteStoreClient(peers.store, {metrics_, Caller::kBackground})),
        remote_leaves_(signer_, federation_, absl::Now),
        invite_leaves_(signer_, remote_leaves_, *own_invite_store_, absl::Now, FairChance(), metrics_,
                       LeavesOfInvites(config)),
        withdrawn_invites_(name, *invite_store_, key_ring_, absl::Now),
        invite_v1_(InviteApi::kV1, Inviting()),
        invite_v2_(InviteApi::kV2, Inviting()),
        // All may wait: who goes without holds its thread no shorter, and has whoever has the turn judged again.
        turns_(static_cast<std::size_t>(config.workers)),
        peer_events_(signer_, federation_),
        missing_events_(peer_events_, Intake(), {.at_once = AFew()}),
        peer_states_(signer_, federation_),
        fetched_states_(MakeGrpcFetchedStateClient(peers.store, {metrics_})),
        states_before_gaps_(peer_states_, *fetched_states_, Intake()),
        missing_before_sent_(peer_events_, Intake(), LongGaps(AFew()), &states_before_gaps_),
        leave_v1_(LeaveApi::kV1, Leaves(), &missing_events_),
        leave_v2_(LeaveApi::kV2, Leaves(), &missing_events_),
        make_leave_(name, *store_, *validator_, key_ring_, access_, invites_under_way_, templates_of_leaves_,
                    absl::Now),
        make_join_(name, *store_, *validator_, key_ring_, access_, invites_under_way_, absl::Now),
        join_answers_(kJoinAnswers, kJoinAnswersOfOne),
        answer_readers_(kAnswerReaders, kJoinAnswers),
        join_v1_(JoinApi::kV1, Intake(), &missing_events_, join_answers_, answer_readers_),
        join_v2_(JoinApi::kV2, Intake(), &missing_events_, join_answers_, answer_readers_),
        make_knock_(name, *store_, *validator_, key_ring_, access_, invites_under_way_, absl::Now),
        send_knock_(Intake(), &missing_events_),
        event_route_(name, *store_, key_ring_, absl::Now),
        state_ids_route_(*store_, key_ring_, large_answers_),
        event_auth_route_(*store_, key_ring_, large_answers_),
        missing_events_route_(*store_, key_ring_),
        send_route_(Intake(), &missing_before_sent_, {}, &withdrawn_invites_),
        state_route_(*store_, key_ring_, large_answers_),
        backfill_route_(name, *store_, key_ring_, backfills_, absl::Now),
        directory_route_(*store_),
        profile_route_(*store_),
        key_route_(signer_, absl::Now),
        key_query_route_(signer_, key_ring_, key_route_, absl::Now),
        workers_(static_cast<std::size_t>(config.workers), static_cast<std::size_t>(config.queue_limit)),
        admin_workers_(kAdminThreads, kAdminQueue),
        admin_service_(
            {.signer = signer_,
             .author = author_,
             .key_ring = key_ring_,
             .store = *store_,
             .invites_under_way = invites_under_way_,
             .sign_invite = [this](const rpc::CallContext& call,
                                   const OutboundInvite& invite) { return invites_.SignedByBoth(call, invite); },
             .clock = absl::Now,
             .reload_signing_keys = [this] { return ReloadSigningKeys(); }},
            admin_workers_),
        invites_service_(
            *invite_store_, author_, [this] { invite_leaves_.Nudge(); }, admin_workers_),
        router_(Routes(), peer_auth_, config.rate_limits ? &addresses_ : nullptr,
                config.rate_limits ? &origins_ : nullptr, workers_, absl::Now, metrics_,
                {.request_timeout = config.request_timeout,
                 .longest_wait = config.longest_wait,
                 .client_address_header = config.client_address_header,
                 .heard_from = [this](const std::string& origin) { sender_.HeardFrom(origin); }}) {}

  ~RunningGateway() override { Shutdown(); }

  absl::Status Listen() {
    metrics_.SetGauge("postern_gateway_signing_key_files_used", 1);
    auto spans = rpc::SpanExporter::Start(config_.spans, metrics_);
    if (!spans.ok()) return spans.status();
    spans_ = *std::move(spans);
    telemetry::SampleShare(config_.trace_sample_ratio);
    auto admin = http::AdminServer::Start(
        config_.admin_listen, metrics_, [this] { return Missing(); }, [this] { UpdateMetrics(); });
    if (!admin.ok()) return admin.status();
    admin_ = std::move(*admin);
    auto grpc_host = rpc::ServerHost::Start({.listen = config_.admin_grpc_listen,
                                             .security = config_.between_services,
                                             .admission = config_.callers,
                                             .metrics = &metrics_},
                                            {&admin_service_, &invites_service_});
    if (!grpc_host.ok()) return grpc_host.status();
    grpc_host_ = std::move(*grpc_host);
    if (!config_.serves) {
      grpc_host_->SetServing(true);
      return absl::OkStatus();
    }
    auto listener = http::HttpListener::Start({.listen = config_.listen,
                                               .certificate_file = config_.tls_certificate_file,
                                               .key_file = config_.tls_key_file,
                                               .body_limit_bytes = kBodyLimitBytes},
                                              router_);
    if (!listener.ok()) return listener.status();
    listener_ = std::move(*listener);
    grpc_host_->SetServing(true);
    return absl::OkStatus();
  }

  void StartSending() {
    sender_.Start();
    if (config_.sender.takes) invite_leaves_.Start();
  }
  void WatchSigningKeys() {
    alarm_.At(absl::Now() + config_.signing_key_check_interval, [this] {
      if (key_files_->HaveChanged()) ReloadSigningKeys().IgnoreError();  // it has been logged
      WatchSigningKeys();
    });
  }
  void StartSharing() {
    if (config_.serves && config_.rate_limits) shared_rates_.Start();
  }

  int federation_port() const override { return listener_ == nullptr ? 0 : listener_->port(); }
  int grpc_port() const override { return grpc_host_->port(); }
  int admin_port() const override { return admin_->port(); }

  void Reload() override {
    ReloadSigningKeys().IgnoreError();  // it has been logged
    if (config_.tls_certificate_file.empty() || listener_ == nullptr) return;
    const absl::Status status = listener_->ReloadCertificates();
    telemetry::Log(status.ok() ? telemetry::Level::kInfo : telemetry::Level::kError, "certificate read again",
                   {{"reason", matrix::DetailOf(status)}});
  }

  void StopBeingReady() override {
    draining_ = true;
    if (grpc_host_ != nullptr) grpc_host_->SetServing(false);
  }

  void Shutdown() override {
    if (ending_.exchange(true)) return;
    const absl::Time deadline = absl::Now() + config_.shutdown_grace;
    if (grpc_host_ != nullptr) grpc_host_->SetServing(false);
    if (listener_ != nullptr) listener_->Shutdown(deadline);
    if (grpc_host_ != nullptr) grpc_host_->Shutdown(deadline);
    workers_.Drain();
    answer_readers_.Drain();
    admin_workers_.Drain();
    fetchers_.Drain();
    shared_rates_.Shutdown();
    alarm_.Stop();
    dummy_events_.Drain();
    invite_leaves_.Shutdown();
    sender_.Shutdown();
  }

 private:
  /// Of the workers that may wait for another server at once.
  std::size_t AFew() const { return static_cast<std::size_t>(std::max<std::int64_t>(1, config_.workers / 4)); }

  /// Signs with what the key files hold now; with what it had if they cannot be used.
  absl::Status ReloadSigningKeys() {
    const std::lock_guard lock(reloading_keys_);  // what was read first is taken up first
    auto keys = key_files_->Read();
    const absl::Status status = keys.status();
    if (keys.ok()) signer_.Rotate(*std::move(keys));
    telemetry::Log(status.ok() ? telemetry::Level::kInfo : telemetry::Level::kError, "signing keys read again",
                   {{"key_id", signer_.key_id()}, {"reason", matrix::DetailOf(status)}});
    metrics_.SetGauge("postern_gateway_signing_key_files_used", status.ok() ? 1 : 0);
    return status;
  }

  InviteServices Inviting() {
    return {.store = *store_,
            .invites = *invite_store_,
            .signer = signer_,
            .key_ring = key_ring_,
            .clock = absl::Now,
            .metrics = metrics_};
  }

  IntakeServices Intake() {
    return {.store = *store_,
            .validator = *validator_,
            .signer = signer_,
            .key_ring = key_ring_,
            .metrics = metrics_,
            .turns = turns_,
            .access = access_,
            .max_key_waits = AFew(),
            .committed = [this](const std::string& room_id, std::uint32_t forward_extremities) {
              dummy_events_.Notice(room_id, forward_extremities);
              sender_.Nudge();
            }};
  }

  IntakeServices Leaves() {
    IntakeServices services = Intake();
    services.templates = &templates_of_leaves_;
    return services;
  }

  std::vector<RouteEntry> Routes() {
    std::vector<RouteEntry> routes{
        {.name = "send_leave_v2", .method = "PUT", .path = kSendLeaveV2, .peer = &leave_v2_},
        {.name = "make_leave", .method = "GET", .path = kMakeLeave, .peer = &make_leave_},
        {.name = "make_join", .method = "GET", .path = kMakeJoin, .peer = &make_join_},
        {.name = "send_join_v2", .method = "PUT", .path = kSendJoinV2, .peer = &join_v2_},
        {.name = "make_knock", .method = "GET", .path = kMakeKnock, .peer = &make_knock_},
        {.name = "send_knock", .method = "PUT", .path = kSendKnock, .peer = &send_knock_},
        {.name = "invite_v1", .method = "PUT", .path = kInviteV1, .peer = &invite_v1_},
        {.name = "invite_v2", .method = "PUT", .path = kInviteV2, .peer = &invite_v2_},
        {.name = "event", .method = "GET", .path = kEvent, .peer = &event_route_},
        {.name = "state_ids", .method = "GET", .path = kStateIds, .peer = &state_ids_route_},
        {.name = "event_auth", .method = "GET", .path = kEventAuth, .peer = &event_auth_route_},
        {.name = "get_missing_events", .method = "POST", .path = kMissingEvents, .peer = &missing_events_route_},
        {.name = "send", .method = "PUT", .path = kSend, .peer = &send_route_, .body_limit_bytes = kTransactionBytes},
        {.name = "state", .method = "GET", .path = kState, .peer = &state_route_},
        {.name = "backfill", .method = "GET", .path = kBackfill, .peer = &backfill_route_},
        {.name = "query_directory", .method = "GET", .path = kDirectory, .peer = &directory_route_},
        {.name = "query_profile", .method = "GET", .path = kProfile, .peer = &profile_route_},
        {.name = "key", .method = "GET", .path = kKeys, .open = &key_route_},
        {.name = "key_query", .method = "POST", .path = kKeyQuery, .open = &key_query_route_},
        {.name = "key_query", .method = "GET", .path = kKeyQueryOfOne, .open = &key_query_route_},
        {.name = "key_query", .method = "GET", .path = kKeyQueryOfOneKey, .open = &key_query_route_},
        {.name = "version", .method = "GET", .path = kVersion, .open = &version_route_},
    };
    if (config_.v1_send_leave) {
      routes.push_back({.name = "send_leave_v1", .method = "PUT", .path = kSendLeaveV1, .peer = &leave_v1_});
    }
    if (config_.v1_send_join) {
      routes.push_back({.name = "send_join_v1", .method = "PUT", .path = kSendJoinV1, .peer = &join_v1_});
    }
    return routes;
  }

  // By the admin server's one thread.
  void UpdateMetrics() {
    metrics_.SetGauge("postern_gateway_requests_under_way", static_cast<double>(router_.under_way()));
    metrics_.SetGauge("postern_gateway_requests_waiting", static_cast<double>(workers_.queued()));
    const std::string key_id = signer_.key_id();
    if (key_id != key_id_shown_ && !key_id_shown_.empty()) {
      metrics_.SetGauge("postern_gateway_signing_key_info", 0, {{"key_id", key_id_shown_}});
    }
    metrics_.SetGauge("postern_gateway_signing_key_info", 1, {{"key_id", key_id}});
    key_id_shown_ = key_id;
    http::ShowCertificate(metrics_, "services", config_.between_services.certificate_file);
    http::ShowCertificate(metrics_, "services_authority", config_.between_services.ca_file);
    http::ShowCertificate(metrics_, "federation", config_.tls_certificate_file);
  }

  std::vector<std::string> Missing() const {
    if (ending_ || draining_) return {"shutting down"};
    return health_.Missing();
  }

  const GatewayConfig config_;
  telemetry::Metrics metrics_;
  std::unique_ptr<rpc::SpanExporter> spans_;
  const std::unique_ptr<SigningKeyFiles> key_files_;
  std::mutex reloading_keys_;
  EventSigner signer_;
  const std::unique_ptr<StoreClient> store_;
  const std::unique_ptr<ValidatorClient> validator_;
  /// For what this gateway does unasked.
  const std::unique_ptr<StoreClient> own_store_;
  const std::unique_ptr<ValidatorClient> own_validator_;
  DnsResolver dns_;
  PeerAddresses peer_addresses_;
  WellKnown well_known_;
  ServerDiscovery discovery_;
  FederationClient federation_;
  KeySources key_sources_;
  PeerHealth health_;
  rpc::WorkerPool fetchers_;
  KeyRing key_ring_;
  PeerAuth peer_auth_;
  AddressLimiter addresses_;
  ThreadAlarm alarm_;
  OriginLimiter origins_;
  SharedRates shared_rates_;
  RoomAuthor author_;
  InviteHandshake invites_;
  InvitesUnderWay invites_under_way_;
  RoomAuthor own_author_;
  DummyEvents dummy_events_;
  FederationSender sender_;
  const std::unique_ptr<InviteStoreClient> invite_store_;
  const std::unique_ptr<InviteStoreClient> own_invite_store_;
  RemoteLeaves remote_leaves_;
  InviteLeaves invite_leaves_;
  WithdrawnInvites withdrawn_invites_;
  InviteRoute invite_v1_;
  InviteRoute invite_v2_;
  RoomTurns turns_;
  RememberedAccess access_;
  FederatedEvents peer_events_;
  MissingEvents missing_events_;
  FederatedStates peer_states_;
  const std::unique_ptr<FetchedStateClient> fetched_states_;
  StateBeforeGap states_before_gaps_;
  MissingEvents missing_before_sent_;
  RememberedTemplates templates_of_leaves_;
  LeaveRoute leave_v1_;
  LeaveRoute leave_v2_;
  MakeLeaveRoute make_leave_;
  MakeJoinRoute make_join_;
  LargeAnswers join_answers_;
  rpc::WorkerPool answer_readers_;
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
  LargeAnswers backfills_{kMostBackfills, kMostBackfillsOfOne};
  BackfillRoute backfill_route_;
  DirectoryRoute directory_route_;
  ProfileRoute profile_route_;
  KeyRoute key_route_;
  KeyQueryRoute key_query_route_;
  VersionRoute version_route_;
  rpc::WorkerPool workers_;
  rpc::WorkerPool admin_workers_;
  AdminService admin_service_;
  InvitesService invites_service_;
  HttpRouter router_;
  std::atomic<bool> draining_ = false;
  std::atomic<bool> ending_ = false;
  std::string key_id_shown_;
  std::unique_ptr<http::AdminServer> admin_;
  std::unique_ptr<rpc::ServerHost> grpc_host_;
  std::unique_ptr<http::HttpListener> listener_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Gateway>> Gateway::Start(const GatewayConfig& config) {
  auto name = matrix::ServerName::Parse(config.server_name);
  if (!name.ok()) return name.status();
  auto key_files =
      std::make_unique<SigningKeyFiles>(config.signing_key_file, config.old_verify_keys, config.old_verify_keys_file);
  auto keys = key_files->Read();
  if (!keys.ok()) return keys.status();
  auto store = rpc::OpenChannel(config.store, config.between_services);
  if (!store.ok()) return store.status();
  auto validator = rpc::OpenChannel(config.validator, config.between_services);
  if (!validator.ok()) return validator.status();
  auto gateway = std::make_unique<RunningGateway>(config, std::move(*name), std::move(key_files), std::move(*keys),
                                                  Peers{*store, *validator});
  if (absl::Status status = gateway->Listen(); !status.ok()) return status;
  gateway->WatchSigningKeys();
  gateway->StartSending();
  gateway->StartSharing();
  return std::unique_ptr<Gateway>(std::move(gateway));
}

}  // namespace postern::gateway
