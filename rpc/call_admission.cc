#include "rpc/call_admission.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <grpcpp/security/auth_context.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "rpc/bearer_token.h"
#include "telemetry/log.h"
#include "telemetry/metrics.h"

namespace postern::rpc {
namespace {

constexpr const char* kAuthorization = "authorization";
constexpr const char* kPath = ":path";
constexpr const char* kPeerDns = "peer_dns";  // gRPC's name for the DNS names in a peer's certificate

std::vector<std::string> NamesOf(const grpc::AuthContext& context) {
  std::vector<std::string> names;
  for (const grpc::string_ref& name : context.FindPropertyValues(kPeerDns))
    names.emplace_back(name.data(), name.size());
  return names;
}

std::string ValueOf(const grpc::AuthMetadataProcessor::InputMetadata& metadata, const char* name) {
  const auto found = metadata.find(name);
  return found == metadata.end() ? "" : std::string(found->second.data(), found->second.size());
}

}  // namespace

CallAdmission::CallAdmission(Admission admission, telemetry::Metrics* metrics)
    : admission_(std::move(admission)), metrics_(metrics) {}

grpc::Status CallAdmission::Process(const InputMetadata& metadata, grpc::AuthContext* context, OutputMetadata* consumed,
                                    OutputMetadata* /*answered*/) {
  if (!admission_.peers.empty()) {
    const bool is_named = std::ranges::any_of(NamesOf(*context), [this](const std::string& name) {
      return std::ranges::find(admission_.peers, name) != admission_.peers.end();
    });
    if (!is_named) return Refuse(metadata, *context, /*by_peer=*/true);
  }
  if (admission_.token_file.empty()) return grpc::Status::OK;
  const auto token = ReadToken(admission_.token_file);
  const std::string given = ValueOf(metadata, kAuthorization);
  if (!token.ok() || !AreEqual(given, BearerOf(*token))) return Refuse(metadata, *context, /*by_peer=*/false);
  consumed->emplace(kAuthorization, given);  // no service has any business with it
  return grpc::Status::OK;
}

grpc::Status CallAdmission::Refuse(const InputMetadata& metadata, const grpc::AuthContext& context, bool by_peer) {
  if (metrics_ != nullptr) metrics_->Count("postern_calls_refused_total", {{"check", by_peer ? "peer" : "token"}});
  const absl::Time now = absl::Now();
  bool logs = false;
  {
    const std::lock_guard lock(mutex_);
    if (now - last_logged_ >= absl::Seconds(1)) {
      last_logged_ = now;
      logs = true;
    }
  }
  if (logs) {
    const bool no_token = !by_peer && !ReadToken(admission_.token_file).ok();
    const std::string_view why = by_peer    ? "its certificate names nobody who may call here"
                                 : no_token ? "the token file cannot be read, so nobody is let in"
                                            : "it brings no token, or another one";
    telemetry::Log(telemetry::Level::kWarning, "call refused",
                   {{"method", ValueOf(metadata, kPath)},
                    {"peer", fmt::format("{}", fmt::join(NamesOf(context), ","))},
                    {"detail", why}});
  }
  if (by_peer) {
    return {grpc::StatusCode::PERMISSION_DENIED, "the caller's certificate names nobody who may call this service"};
  }
  return {grpc::StatusCode::UNAUTHENTICATED, "this port wants a token: authorization: Bearer TOKEN"};
}

}  // namespace postern::rpc
