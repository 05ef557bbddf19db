#include "posternctl/server_checks.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "matrix/base64.h"
#include "matrix/json.h"
#include "matrix/refusal.h"

namespace postern::posternctl {
namespace {

using matrix::Json;
using matrix::JsonObject;
using matrix::Reason;
using matrix::Refuse;

constexpr int kHttpOk = 200;
/// A Date has whole seconds, and an answer takes its time: less than this is nothing.
constexpr absl::Duration kSkewIsThere = absl::Seconds(5);
/// Key documents and events are judged by time, if by no finer one.
constexpr absl::Duration kSkewHurts = absl::Minutes(5);
constexpr absl::Duration kKeysEndSoon = absl::Minutes(10);
constexpr absl::Duration kCertificateEndsSoon = absl::Hours(14 * 24);

std::string InUtc(absl::Time time) { return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone()); }

absl::StatusOr<JsonObject> ReadObject(const http::Response& response) {
  if (response.status != kHttpOk) return Refuse(Reason::kBadJson, fmt::format("answered {}", response.status));
  auto document = matrix::ParseJson(response.body);
  const JsonObject* object = document.ok() ? document->AsObject() : nullptr;
  if (object == nullptr) return Refuse(Reason::kBadJson, "answered no JSON object");
  return *object;
}

std::string TextIn(const JsonObject& object, std::string_view name) {
  const Json* member = object.Find(name);
  const std::string* text = member == nullptr ? nullptr : member->AsString();
  return text == nullptr ? "" : *text;
}

const JsonObject* ObjectIn(const JsonObject& object, std::string_view name) {
  const Json* member = object.Find(name);
  return member == nullptr ? nullptr : member->AsObject();
}

std::vector<std::string> IdsOf(const PublishedKeys& published) {
  std::vector<std::string> ids;
  for (const matrix::VerifyKey& key : published.keys) ids.push_back(key.key_id);
  return ids;
}

bool HaveSameKeys(const PublishedKeys& one, const PublishedKeys& other) {
  return std::ranges::any_of(one.keys, [&other](const matrix::VerifyKey& key) {
    return std::ranges::any_of(other.keys, [&key](const matrix::VerifyKey& theirs) {
      return theirs.key_id == key.key_id && theirs.public_key == key.public_key;
    });
  });
}

std::string DetailOf(const absl::Status& status) {
  const std::string detail(matrix::DetailOf(status));
  return detail.empty() ? std::string(status.message()) : detail;
}

}  // namespace

std::string_view NameOf(CheckOutcome outcome) {
  switch (outcome) {
    case CheckOutcome::kOk:
      return "ok";
    case CheckOutcome::kWarning:
      return "warning";
    case CheckOutcome::kFailed:
      return "failed";
    case CheckOutcome::kSkipped:
      break;
  }
  return "skipped";
}

CheckResult CheckVersion(const http::Response& response, std::string_view ours) {
  const auto answer = ReadObject(response);
  if (!answer.ok()) return {"version", CheckOutcome::kFailed, DetailOf(answer.status())};
  const JsonObject* server = ObjectIn(*answer, "server");
  if (server == nullptr) return {"version", CheckOutcome::kWarning, "the server does not say what it is"};
  const std::string name = TextIn(*server, "name"), version = TextIn(*server, "version");
  if (name == "Postern" && version != ours) {
    return {"version", CheckOutcome::kWarning, fmt::format("Postern {}; this posternctl is {}", version, ours)};
  }
  return {"version", CheckOutcome::kOk, fmt::format("{} {}", name, version)};
}

CheckResult CheckClock(const http::Response& response, absl::Time asked, absl::Time came) {
  const auto date = http::FindHeader(response.headers, "Date");
  absl::Time theirs;
  if (!date || !absl::ParseTime("%a, %d %b %Y %H:%M:%S GMT", std::string(*date), &theirs, nullptr)) {
    return {"clock", CheckOutcome::kSkipped, "the answer has no date"};
  }
  // It was written within the second after `theirs`, between the two of ours.
  absl::Duration ahead = absl::ZeroDuration();
  if (theirs > came) ahead = theirs - came;
  if (theirs + absl::Seconds(1) < asked) ahead = theirs + absl::Seconds(1) - asked;
  const absl::Duration skew = absl::AbsDuration(ahead);
  const std::string says = fmt::format("{} s {} this machine's", absl::ToInt64Seconds(skew),
                                       ahead < absl::ZeroDuration() ? "behind" : "ahead of");
  if (skew > kSkewHurts) return {"clock", CheckOutcome::kFailed, says};
  if (skew > kSkewIsThere) return {"clock", CheckOutcome::kWarning, says};
  return {"clock", CheckOutcome::kOk, "as this machine's, within 5 s"};
}

absl::StatusOr<PublishedKeys> ReadPublishedKeys(const http::Response& response) {
  const auto document = ReadObject(response);
  if (!document.ok()) return document.status();
  PublishedKeys published{TextIn(*document, "server_name"), {}, absl::InfinitePast()};
  if (const Json* until = document->Find("valid_until_ts"); until != nullptr && until->AsInteger() != nullptr) {
    published.valid_until = absl::FromUnixMillis(*until->AsInteger());
  }
  const JsonObject* keys = ObjectIn(*document, "verify_keys");
  if (published.server_name.empty() || keys == nullptr || keys->empty()) {
    return Refuse(Reason::kBadJson, "answered no key document: server_name or verify_keys are missing");
  }
  for (const auto& [key_id, entry] : *keys) {
    const auto bytes = matrix::DecodeBase64(entry.AsObject() == nullptr ? "" : TextIn(*entry.AsObject(), "key"));
    if (!key_id.starts_with("ed25519:")) continue;
    if (!bytes || bytes->size() != matrix::kPublicKeyBytes) {
      return Refuse(Reason::kBadJson, fmt::format("key {} is none", key_id));
    }
    if (!matrix::VerifyJson(*document, published.server_name, key_id, *bytes)) {
      return Refuse(Reason::kBadJson, fmt::format("the document is not signed by its key {}", key_id));
    }
    published.keys.push_back({key_id, *bytes, std::nullopt});
  }
  if (published.keys.empty()) return Refuse(Reason::kBadJson, "the document has no ed25519 key");
  return published;
}

CheckResult CheckKeys(const absl::StatusOr<PublishedKeys>& published, std::string_view expected, absl::Time now) {
  if (!published.ok()) return {"keys", CheckOutcome::kFailed, DetailOf(published.status())};
  if (!expected.empty() && published->server_name != expected) {
    return {"keys", CheckOutcome::kFailed,
            fmt::format("they are those of {}, not of {}", published->server_name, expected)};
  }
  const std::string says = fmt::format("{} signs with {}, valid until {}", published->server_name,
                                       fmt::join(IdsOf(*published), ", "), InUtc(published->valid_until));
  if (published->valid_until <= now) return {"keys", CheckOutcome::kFailed, says + ": that is past"};
  if (published->valid_until < now + kKeysEndSoon) return {"keys", CheckOutcome::kWarning, says + ": that is soon"};
  return {"keys", CheckOutcome::kOk, says};
}

CheckResult CheckFound(std::string_view found_at, const absl::StatusOr<PublishedKeys>& found,
                       const PublishedKeys& looked_at) {
  if (!found.ok()) {
    return {"discovery", CheckOutcome::kFailed, fmt::format("others go to {}: {}", found_at, DetailOf(found.status()))};
  }
  if (found->server_name != looked_at.server_name || !HaveSameKeys(*found, looked_at)) {
    return {"discovery", CheckOutcome::kFailed,
            fmt::format("others go to {}, where {} answers with keys that this server does not have: {}", found_at,
                        found->server_name, fmt::join(IdsOf(*found), ", "))};
  }
  return {"discovery", CheckOutcome::kOk, fmt::format("others go to {}, and find this server's keys", found_at)};
}

absl::StatusOr<matrix::ServerName> ReadDelegation(const http::Response& response) {
  const auto document = ReadObject(response);
  if (!document.ok()) return document.status();
  auto name = matrix::ServerName::Parse(TextIn(*document, "m.server"));
  if (!name.ok()) return Refuse(Reason::kBadJson, "m.server is no server name");
  return name;
}

CheckResult CheckCertificate(const absl::StatusOr<http::ShownCertificate>& shown, std::string_view name,
                             absl::Time now) {
  if (!shown.ok()) return {"certificate", CheckOutcome::kFailed, DetailOf(shown.status())};
  const auto days = absl::ToInt64Hours(shown->until - now) / 24;
  const std::string says = fmt::format("for {}, until {}", fmt::join(shown->names, ", "), InUtc(shown->until));
  if (shown->until <= now) return {"certificate", CheckOutcome::kFailed, says + ": that is past"};
  if (shown->from > now) {
    return {"certificate", CheckOutcome::kFailed, fmt::format("not good before {}", InUtc(shown->from))};
  }
  if (!shown->is_for_host) return {"certificate", CheckOutcome::kFailed, fmt::format("{}: not for {}", says, name)};
  if (!shown->mistrust.empty()) {
    return {"certificate", CheckOutcome::kFailed, fmt::format("{}: not trusted: {}", says, shown->mistrust)};
  }
  const bool soon = shown->until < now + kCertificateEndsSoon;
  return {"certificate", soon ? CheckOutcome::kWarning : CheckOutcome::kOk,
          fmt::format("{}: {} days are left", says, days)};
}

CheckResult CheckReady(std::string_view url, const absl::StatusOr<http::Response>& response) {
  if (!response.ok()) return {"ready", CheckOutcome::kFailed, fmt::format("{}: {}", url, DetailOf(response.status()))};
  if (response->status == kHttpOk) return {"ready", CheckOutcome::kOk, std::string(url)};
  std::string body = response->body;
  while (body.ends_with('\n')) body.pop_back();
  return {"ready", CheckOutcome::kFailed, fmt::format("{}: answered {}: {}", url, response->status, body)};
}

}  // namespace postern::posternctl
