#include "http/http_url.h"

#include <gtest/gtest.h>

#include <string>

namespace postern::http {
namespace {

TEST(UrlText, IsTakenApart) {
  const struct {
    const char* text;
    const char* host;
    int port;
  } cases[] = {
      {"https://a.example/", "a.example", 443},       {"https://a.example:8448/x", "a.example", 8448},
      {"http://a.example", "a.example", 80},          {"https://[2001:db8::1]/", "2001:db8::1", 443},
      {"https://[::1]:8448/", "::1", 8448},           {"https://192.0.2.1/", "192.0.2.1", 443},
      {"https://127.1/", "127.0.0.1", 443},  // as libcurl would connect
      {"https://a.example/#there", "a.example", 443},
  };
  for (const auto& c : cases) {
    const auto url = ParseUrl(c.text);
    ASSERT_TRUE(url.ok()) << c.text;
    EXPECT_EQ(url->host, c.host) << c.text;
    EXPECT_EQ(url->port, c.port) << c.text;
    EXPECT_EQ(url->text.find('#'), std::string::npos);
  }
}

TEST(UrlText, IsRefusedWhereItIsNone) {
  for (const char* text : {"", "a.example", "/path", "https://", "https://user@a.example/", "https://u:p@a.example/",
                           "https://a.example:99999/", "https://a b.example/"}) {
    EXPECT_FALSE(ParseUrl(text).ok()) << text;
  }
  EXPECT_FALSE(ParseUrl(std::string("https://a.example/\0x", 20)).ok());
  EXPECT_FALSE(ParseUrl("https://a.example/" + std::string(5000, 'x')).ok());
}

TEST(Reference, IsFollowedFromItsPage) {
  const Url base = *ParseUrl("https://a.example/one/two");
  const struct {
    const char* reference;
    const char* text;
  } cases[] = {
      {"https://b.example/x", "https://b.example/x"},
      {"//b.example/x", "https://b.example/x"},
      {"/x", "https://a.example/x"},
      {"x", "https://a.example/one/x"},
      {"http://b.example/x", "http://b.example/x"},
  };
  for (const auto& c : cases) {
    const auto next = FollowReference(base, c.reference);
    ASSERT_TRUE(next.ok()) << c.reference;
    EXPECT_EQ(next->text, c.text);
  }
  EXPECT_FALSE(FollowReference(base, "https://user@b.example/").ok());
}

}  // namespace
}  // namespace postern::http
