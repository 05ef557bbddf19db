#include "matrix/server_acl.h"

#include <algorithm>
#include <string>

namespace postern::matrix {
namespace {

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool Fits(char pattern, char c) { return pattern == '?' || Lower(pattern) == Lower(c); }

/// Whether the whole of `name` matches. Only the latest '*' is ever retried (what an earlier one took cannot help), so
/// that the work is bounded by the product of two lengths, of which the name's is at most 255.
bool MatchesGlob(std::string_view pattern, std::string_view name) {
  std::size_t p = 0;
  std::size_t n = 0;
  std::size_t star = std::string_view::npos;
  std::size_t retry = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      retry = n;
    } else if (p < pattern.size() && Fits(pattern[p], name[n])) {
      ++p;
      ++n;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      n = ++retry;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

bool AnyMatches(const JsonObject& content, std::string_view list, std::string_view name) {
  const Json* globs = content.Find(list);
  if (!globs || !globs->AsArray()) return false;
  return std::ranges::any_of(*globs->AsArray(),
                             [&](const Json& glob) { return glob.AsString() && MatchesGlob(*glob.AsString(), name); });
}

}  // namespace

bool PassesServerAcl(const JsonObject& content, const ServerName& server) {
  const Json* literals = content.Find("allow_ip_literals");
  const bool literals_allowed = !literals || !literals->AsBool() || *literals->AsBool();
  if (!literals_allowed && server.IsIpLiteral()) return false;
  const std::string_view name = server.host_as_written();
  return !AnyMatches(content, "deny", name) && AnyMatches(content, "allow", name);
}

}  // namespace postern::matrix
