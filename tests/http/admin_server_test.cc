#include "http/admin_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "http/http_client.h"

namespace postern::http {
namespace {

class AdminServerTest : public testing::Test {
 protected:
  AdminServerTest() : server_(AdminServer::Start("127.0.0.1:0", metrics_, [this] { return missing_; }).value()) {}

  Response Get(const std::string& path, const std::string& method = "GET") {
    HttpClient client({.allow_private_networks = true});
    return client.Send({.method = method, .url = "http://127.0.0.1:" + std::to_string(server_->port()) + path}).value();
  }

  telemetry::Metrics metrics_;
  std::vector<std::string> missing_;
  std::unique_ptr<AdminServer> server_;
};

TEST_F(AdminServerTest, IsAliveWhateverIsMissing) {
  missing_ = {"database"};
  EXPECT_EQ(Get("/livez").status, 200);
}

TEST_F(AdminServerTest, NamesWhatIsMissing) {
  missing_ = {"database", "migrations"};
  const Response response = Get("/readyz");
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(response.body, "{\"ready\":false,\"missing\":[\"database\",\"migrations\"]}\n");
}

TEST_F(AdminServerTest, IsReadyWhenNothingIsMissing) { EXPECT_EQ(Get("/readyz").status, 200); }

TEST_F(AdminServerTest, ExposesMetrics) {
  metrics_.Count("postern_things_total", {{"kind", "good"}});
  const Response response = Get("/metrics?x=1");
  EXPECT_THAT(response.body, testing::HasSubstr("postern_things_total{kind=\"good\"} 1"));
  EXPECT_THAT(std::string(FindHeader(response.headers, "Content-Type").value()),
              testing::StartsWith("text/plain; version=0.0.4"));
}

TEST_F(AdminServerTest, ExposesTheProcessAndWhatIsWorkedOutWhenAsked) {
  int asked = 0;
  const auto server = AdminServer::Start(
                          "127.0.0.1:0", metrics_, [] { return std::vector<std::string>(); },
                          [&] { metrics_.SetGauge("postern_asked", ++asked); })
                          .value();
  HttpClient client({.allow_private_networks = true});
  const std::string url = "http://127.0.0.1:" + std::to_string(server->port()) + "/metrics";
  client.Send({.url = url}).value();
  const std::string second = client.Send({.url = url}).value().body;
  EXPECT_THAT(second, testing::AllOf(testing::HasSubstr("postern_asked 2"), testing::HasSubstr("process_open_fds "),
                                     testing::HasSubstr("postern_build_info{")));
}

TEST_F(AdminServerTest, ServesNothingElse) {
  EXPECT_EQ(Get("/").status, 404);
  EXPECT_EQ(Get("/metrics", "POST").status, 405);
}

}  // namespace
}  // namespace postern::http
