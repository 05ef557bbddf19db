#include "matrix/server_acl.h"

#include <algorithm>

#include "matrix/server_glob.h"

namespace postern::matrix {
namespace {

bool AnyMatches(const JsonObject& content, std::string_view list, const GlobbedName& name) {
  const Json* globs = content.Find(list);
  if (!globs || !globs->AsArray()) return false;
  return std::ranges::any_of(*globs->AsArray(),
                             [&](const Json& glob) { return glob.AsString() && name.Matches(*glob.AsString()); });
}

}  // namespace

bool PassesServerAcl(const JsonObject& content, const ServerName& server) {
  const Json* literals = content.Find("allow_ip_literals");
  const bool literals_allowed = !literals || !literals->AsBool() || *literals->AsBool();
  if (!literals_allowed && server.IsIpLiteral()) return false;
  const GlobbedName name(server.host_as_written());
  return !AnyMatches(content, "deny", name) && AnyMatches(content, "allow", name);
}

}  // namespace postern::matrix
