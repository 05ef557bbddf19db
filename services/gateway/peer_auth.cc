#include "services/gateway/peer_auth.h"

#include <fmt/format.h>

#include <vector>

#include "absl/time/time.h"
#include "matrix/refusal.h"
#include "matrix/x_matrix.h"

namespace postern::gateway {
namespace {

using matrix::Reason;
using matrix::Refuse;
using matrix::XMatrixHeader;

constexpr std::size_t kMaxHeaders = 4;

absl::Status NotAuthentic(std::string_view why) { return Refuse(Reason::kUnauthenticated, why); }

/// The request's X-Matrix headers: one to four, each of the grammar, all of one origin. Other schemes are skipped.
absl::StatusOr<std::vector<XMatrixHeader>> ReadHeaders(const http::Request& request) {
  std::vector<std::string_view> values;
  for (const std::string_view value : http::FindHeaders(request.headers, "Authorization")) {
    if (matrix::IsXMatrix(value)) values.push_back(value);
  }
  if (values.empty()) return NotAuthentic("no X-Matrix header");
  if (values.size() > kMaxHeaders) return NotAuthentic(fmt::format("{} X-Matrix headers", values.size()));
  std::vector<XMatrixHeader> headers;
  for (const std::string_view value : values) {
    auto header = matrix::ParseXMatrix(value);
    if (!header.ok()) return header.status();
    if (!headers.empty() && header->origin != headers.front().origin) return NotAuthentic("headers of several origins");
    headers.push_back(std::move(*header));
  }
  return headers;
}

absl::StatusOr<matrix::ServerName> OriginOf(const std::vector<XMatrixHeader>& headers, const matrix::ServerName& us) {
  auto origin = matrix::ServerName::Parse(headers.front().origin);
  if (!origin.ok()) return NotAuthentic("the origin is no server name");
  if (*origin == us) return NotAuthentic("the origin is this server");
  for (const XMatrixHeader& header : headers) {
    if (header.destination && *header.destination != us.text()) {
      return NotAuthentic("the destination is another server: is a proxy or a DNS entry wrong?");
    }
  }
  return origin;
}

/// Says which key, until when it holds, what our clock is and what was signed, so that skew and proxies can be told
/// apart.
std::string Diagnosis(std::string_view why, const XMatrixHeader& header, const KnownKeys& known, absl::Time now,
                      const http::Request& request) {
  return fmt::format("{}; key {}, valid until {}, our clock {}, request target {}", why, header.key,
                     absl::FormatTime(known.believed_until(), absl::UTCTimeZone()),
                     absl::FormatTime(now, absl::UTCTimeZone()), request.target);
}

/// At least one header's key is known and current, and the signature of every such one holds.
absl::Status CheckSignatures(const std::vector<XMatrixHeader>& headers, const KnownKeys& known,
                             const matrix::SignedRequest& signed_request, absl::Time now, Exchange& exchange) {
  bool any_known = false;
  for (const XMatrixHeader& header : headers) {
    const matrix::VerifyKey* key = known.Current(header.key, now);
    if (key == nullptr) continue;
    any_known = true;
    if (matrix::VerifyRequest(signed_request, header.sig, key->public_key)) continue;
    exchange.notes().diagnosis = Diagnosis("the signature does not hold", header, known, now, exchange.request());
    return NotAuthentic("the signature does not hold");
  }
  if (any_known) return absl::OkStatus();
  exchange.notes().diagnosis =
      Diagnosis("no offered key is known and valid now", headers.front(), known, now, exchange.request());
  return NotAuthentic("no offered key is known and valid now");
}

}  // namespace

PeerAuth::PeerAuth(matrix::ServerName server_name, KeyRing& key_ring, Clock clock)
    : server_name_(std::move(server_name)), key_ring_(key_ring), clock_(std::move(clock)) {}

void PeerAuth::Authenticate(std::shared_ptr<Exchange> exchange, std::optional<matrix::Json> content, Then then) {
  auto headers = ReadHeaders(exchange->request());
  if (!headers.ok()) return then(headers.status());
  auto origin = OriginOf(*headers, server_name_);
  if (!origin.ok()) return then(origin.status());
  exchange->notes().origin = origin->text();

  KeyQuery query{*origin, {}, KeyUse::kRequest, exchange->request().remote_address};
  for (const XMatrixHeader& header : *headers) {
    if (header.key.starts_with("ed25519:")) query.key_ids.push_back(header.key);
  }
  if (query.key_ids.empty()) return then(NotAuthentic("no ed25519 key is offered"));

  // std::function wants what can be copied: what follows is shared, and used once.
  auto body = std::make_shared<std::optional<matrix::Json>>(std::move(content));
  key_ring_.Find(query, [this, exchange, headers = std::move(*headers), origin = *origin, body,
                         then = std::move(then)](absl::StatusOr<KnownKeysPtr> known) {
    if (!known.ok()) {
      exchange->notes().diagnosis =
          fmt::format("the origin's keys could not be had: {}", matrix::DetailOf(known.status()));
      return then(known.status());
    }
    const matrix::SignedRequest signed_request{.method = exchange->request().method,
                                               .uri = exchange->request().target,
                                               .origin = origin.text(),
                                               .destination = server_name_.text(),
                                               .content = *body ? &**body : nullptr};
    const absl::Status status = CheckSignatures(headers, **known, signed_request, clock_(), *exchange);
    if (!status.ok()) return then(status);
    then(AuthenticRequest(exchange, origin, std::move(*body), std::move(*known)));
  });
}

}  // namespace postern::gateway
