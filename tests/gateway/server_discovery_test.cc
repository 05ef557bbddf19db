// Where a server name is served.
#include "services/gateway/server_discovery.h"

#include <gtest/gtest.h>

namespace postern::gateway {
namespace {

TEST(Locate, FollowsTheNameAsItIsWritten) {
  const struct {
    const char* name;
    const char* url;
  } cases[] = {
      {"example.org", "https://example.org:8448"},     {"example.org:443", "https://example.org:443"},
      {"192.0.2.1", "https://192.0.2.1:8448"},         {"192.0.2.1:8008", "https://192.0.2.1:8008"},
      {"[2001:db8::1]", "https://[2001:db8::1]:8448"}, {"[2001:db8::1]:443", "https://[2001:db8::1]:443"},
  };
  for (const auto& c : cases) {
    const ServerLocation location = Locate(*matrix::ServerName::Parse(c.name));
    EXPECT_EQ(location.url, c.url);
    EXPECT_EQ(location.host, c.name);  // a port only where the name has one
  }
}

}  // namespace
}  // namespace postern::gateway
