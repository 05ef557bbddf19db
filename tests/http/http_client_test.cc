// What the client will not do: reach private addresses, follow, read without end, wait without end.
#include "http/http_client.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "absl/time/clock.h"
#include "tests/http/told_handler.h"

namespace postern::http {
namespace {

class HttpClientTest : public testing::Test {
 protected:
  HttpClientTest() : listener_(HttpListener::Start({.listen = "127.0.0.1:0"}, handler_).value()) {}

  std::string Url(const std::string& path) const {
    return "http://127.0.0.1:" + std::to_string(listener_->port()) + path;
  }

  ToldHandler handler_;
  std::unique_ptr<HttpListener> listener_;
};

TEST_F(HttpClientTest, CarriesARequestAndItsAnswer) {
  HttpClient client({.allow_private_networks = true});
  const auto response = client.Send({.method = "PUT",
                                     .url = Url("/%21a/../b?c"),
                                     .headers = {{"X-Matrix", "a=\"b\""}, {"X-Empty", ""}},
                                     .body = "{}"});
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->status, 200);
  EXPECT_EQ(response->body, "PUT /%21a/../b?c {}");
  EXPECT_EQ(FindHeader(response->headers, "content-type"), "text/plain");
  const Request request = handler_.seen().at(0);
  EXPECT_EQ(FindHeader(request.headers, "X-Matrix"), "a=\"b\"");
  EXPECT_EQ(FindHeader(request.headers, "X-Empty"), "");
  EXPECT_EQ(FindHeader(request.headers, "Content-Type"), "application/json");
}

TEST_F(HttpClientTest, TreatsAnyStatusAsAnAnswer) {
  HttpClient client({.allow_private_networks = true});
  EXPECT_EQ(client.Send({.url = Url("/unknown")})->status, 404);
  EXPECT_EQ(client.Send({.url = Url("/drop")})->status, 503);
}

TEST_F(HttpClientTest, GetsNoBodyOfHead) {
  HttpClient client({.allow_private_networks = true});
  const auto response = client.Send({.method = "HEAD", .url = Url("/a")});
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->body, "");
}

TEST_F(HttpClientTest, RefusesPrivateAddresses) {
  HttpClient client({});
  const auto response = client.Send({.url = Url("/a")});
  EXPECT_EQ(response.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_FALSE(client.Send({.url = "http://localhost:" + std::to_string(listener_->port()) + "/a"}).ok());
  EXPECT_FALSE(client.Send({.url = "http://[::ffff:127.0.0.1]:" + std::to_string(listener_->port()) + "/a"}).ok());
  EXPECT_TRUE(handler_.seen().empty());
}

TEST_F(HttpClientTest, ReachesThePrivateNetworksThatAreListed) {
  HttpClient listed({.allowed_networks = {*IpNetwork::Parse("127.0.0.1")}});
  EXPECT_TRUE(listed.Send({.url = Url("/a")}).ok());
  HttpClient other({.allowed_networks = {*IpNetwork::Parse("127.0.0.2/31"), *IpNetwork::Parse("::1")}});
  EXPECT_FALSE(other.Send({.url = Url("/a")}).ok());
}

TEST_F(HttpClientTest, ConnectsToTheAddressesItIsGivenAndLooksNothingUp) {
  HttpClient client({.allow_private_networks = true});
  const std::string port = std::to_string(listener_->port());
  for (const char* host : {"no-such-name.invalid", "NO-SUCH-NAME.invalid.", "[2606:4700::1111]"}) {
    const auto response = client.Send({.url = fmt::format("http://{}:{}/a", host, port), .addresses = {"127.0.0.1"}});
    EXPECT_TRUE(response.ok()) << host << ": " << response.status();
  }
  // Neither what an earlier request was given, nor what the system has for the name.
  EXPECT_FALSE(client.Send({.url = "http://localhost:" + port + "/a", .addresses = {"127.0.0.9"}}).ok());
  EXPECT_FALSE(client.Send({.url = "http://no-such-name.invalid:" + port + "/a"}).ok());  // looked up, now
  EXPECT_TRUE(
      client.Send({.url = "http://other.invalid:" + port + "/a", .addresses = {"127.0.0.9", "127.0.0.1"}}).ok());
}

TEST_F(HttpClientTest, ChecksTheAddressesItIsGiven) {
  // As when a name was looked up once, checked, and another answer is used: connecting has the last word.
  HttpClient client({.allowed_networks = {*IpNetwork::Parse("127.0.0.2")}});
  const std::string url = "http://rebound.example:" + std::to_string(listener_->port()) + "/a";
  for (const char* address : {"127.0.0.1", "::ffff:127.0.0.1", "0.0.0.0"}) {
    EXPECT_FALSE(client.Send({.url = url, .addresses = {address}}).ok()) << address;
  }
  EXPECT_TRUE(handler_.seen().empty());
}

TEST_F(HttpClientTest, ReadsNoMoreThanItsLimit) {
  HttpClient client({.allow_private_networks = true, .response_limit_bytes = 7});
  EXPECT_EQ(client.Send({.url = Url("/a")})->body, "GET /a ");
  EXPECT_EQ(client.Send({.url = Url("/ab")}).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(client.Send({.url = Url("/large")}).status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(HttpClientTest, GivesUpInTime) {
  HttpClient client({.allow_private_networks = true});
  EXPECT_EQ(client.Send({.url = Url("/hold"), .timeout = absl::Milliseconds(100)}).status().code(),
            absl::StatusCode::kUnavailable);
  handler_.Release();
}

TEST_F(HttpClientTest, RefusesWhatIsNoHttpOrWouldForgeALine) {
  HttpClient client({.allow_private_networks = true});
  EXPECT_FALSE(client.Send({.url = "file:///etc/passwd"}).ok());
  EXPECT_FALSE(client.Send({.url = Url("/a"), .headers = {{"X", "a\r\nY: b"}}}).ok());
  EXPECT_FALSE(client.Send({.url = "http://user:secret@127.0.0.1:" + std::to_string(listener_->port()) + "/"}).ok());
}

TEST_F(HttpClientTest, AnswersManyThreadsAtOnce) {
  HttpClient client({.allow_private_networks = true});
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 20; ++j) EXPECT_TRUE(client.Send({.url = Url("/a")}).ok());
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_F(HttpClientTest, SurvivesAServerThatCameBack) {
  HttpClient client({.allow_private_networks = true});
  ASSERT_TRUE(client.Send({.url = Url("/a")}).ok());
  const std::string same = "127.0.0.1:" + std::to_string(listener_->port());
  listener_.reset();
  EXPECT_FALSE(client.Send({.url = "http://" + same + "/a"}).ok());
  listener_ = HttpListener::Start({.listen = same}, handler_).value();
  EXPECT_TRUE(client.Send({.url = "http://" + same + "/a"}).ok());
}

}  // namespace
}  // namespace postern::http
