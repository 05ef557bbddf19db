#include "services/gateway/query_routes.h"

#include <string>
#include <utility>

#include "matrix/canonical_json.h"
#include "matrix/identifiers.h"
#include "matrix/refusal.h"

namespace postern::gateway {
namespace {

using matrix::JsonObject;
using matrix::Reason;
using matrix::Refuse;

http::Response Answer(const JsonObject& answer) {
  return {.status = 200, .headers = {}, .body = matrix::CanonicalJson(answer)};
}

}  // namespace

absl::StatusOr<http::Response> DirectoryRoute::Handle(AuthenticRequest request) {
  const Exchange& exchange = request.exchange();
  const auto alias = http::QueryParameter(exchange.request().target, "room_alias");
  if (!alias || !matrix::IsRoomAlias(*alias)) return Refuse(Reason::kBadQuery, "room_alias: expected an alias");
  store::v1::GetAliasRequest read;
  read.set_alias(*alias);
  auto target = store_.GetAlias(exchange.call(), read);
  if (!target.ok()) return target.status();
  matrix::JsonArray servers;
  for (std::string& server : *target->mutable_servers()) servers.emplace_back(std::move(server));
  JsonObject answer;
  answer.Set("room_id", target->room_id());
  answer.Set("servers", std::move(servers));
  return Answer(answer);
}

absl::StatusOr<http::Response> ProfileRoute::Handle(AuthenticRequest request) {
  const Exchange& exchange = request.exchange();
  const auto user = http::QueryParameter(exchange.request().target, "user_id");
  if (!user || !matrix::IsUserId(*user)) return Refuse(Reason::kBadQuery, "user_id: expected a user's id");
  const auto field = http::QueryParameter(exchange.request().target, "field");
  if (field && *field != "displayname" && *field != "avatar_url") {
    return Refuse(Reason::kNotFound, "no such field is known of the user");
  }
  store::v1::GetProfileRequest read;
  read.set_user_id(*user);
  const auto profile = store_.GetProfile(exchange.call(), read);
  if (!profile.ok()) return profile.status();
  const auto is_wanted = [&](std::string_view name) { return !field || *field == name; };
  JsonObject answer;
  if (profile->has_displayname() && is_wanted("displayname")) answer.Set("displayname", profile->displayname());
  if (profile->has_avatar_url() && is_wanted("avatar_url")) answer.Set("avatar_url", profile->avatar_url());
  return Answer(answer);
}

}  // namespace postern::gateway
