// TLS on both sides: whom the client believes, and certificates that change under a running listener.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "absl/time/clock.h"
#include "http/http_client.h"
#include "http/http_listener.h"
#include "http/self_signed_certificate.h"
#include "tests/http/raw_connection.h"
#include "tests/http/told_handler.h"

namespace postern::http {
namespace {

class TlsTest : public testing::Test {
 protected:
  TlsTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "postern-tls-XXXXXX").string();
    directory_ = ::mkdtemp(pattern.data());
    Write("127.0.0.1");
  }
  ~TlsTest() override { std::filesystem::remove_all(directory_); }

  std::string File(const std::string& name) const { return (directory_ / name).string(); }

  // Makes a new certificate for `host`, which is its own authority too.
  void Write(const std::string& host) {
    const auto pem = MakeSelfSignedCertificate(host);
    ASSERT_TRUE(pem.ok());
    ASSERT_TRUE(WritePem(*pem, File("cert.pem"), File("key.pem")).ok());
  }

  void Start(absl::Duration check_interval = absl::Hours(1)) {
    ListenerOptions options{.listen = "127.0.0.1:0",
                            .certificate_file = File("cert.pem"),
                            .key_file = File("key.pem"),
                            .read_timeout = absl::Seconds(2)};
    options.certificate_check_interval = check_interval;
    auto listener = HttpListener::Start(options, handler_);
    ASSERT_TRUE(listener.ok()) << listener.status();
    listener_ = *std::move(listener);
  }

  // What a client that believes the authority in `ca_file` gets; 0: no answer.
  int StatusFor(const std::string& ca_file, const std::string& host = "127.0.0.1") const {
    HttpClient client({.allow_private_networks = true, .ca_file = ca_file});
    const auto response = client.Send({.url = "https://" + host + ":" + std::to_string(listener_->port()) + "/a"});
    return response.ok() ? response->status : 0;
  }

  std::filesystem::path directory_;
  ToldHandler handler_;
  std::unique_ptr<HttpListener> listener_;
};

TEST_F(TlsTest, IsBelievedByItsAuthorityOnly) {
  Start();
  EXPECT_EQ(StatusFor(File("cert.pem")), 200);
  EXPECT_EQ(StatusFor(""), 0);
}

TEST_F(TlsTest, IsNotBelievedUnderAnotherName) {
  Write("other.example");
  Start();
  EXPECT_EQ(StatusFor(File("cert.pem")), 0);
}

TEST_F(TlsTest, IsBelievedBlindlyOnRequest) {
  Write("other.example");
  Start();
  HttpClient client({.allow_private_networks = true, .insecure_tls = true});
  const auto response = client.Send(
      {.method = "PUT", .url = "https://127.0.0.1:" + std::to_string(listener_->port()) + "/a", .body = "x"});
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->body, "PUT /a x");
}

TEST_F(TlsTest, KeepsTheConnectionOverTls) {
  Start();
  HttpClient client({.allow_private_networks = true, .ca_file = File("cert.pem")});
  for (int i = 0; i < 5; ++i) {
    const auto response = client.Send({.url = "https://127.0.0.1:" + std::to_string(listener_->port()) + "/a"});
    ASSERT_TRUE(response.ok()) << response.status();
    EXPECT_FALSE(FindHeader(response->headers, "Connection"));
  }
}

TEST_F(TlsTest, DeliversThe413OverTls) {
  Start();
  HttpClient client({.allow_private_networks = true, .ca_file = File("cert.pem")});
  const auto response = client.Send({.method = "PUT",
                                     .url = "https://127.0.0.1:" + std::to_string(listener_->port()) + "/a",
                                     .body = std::string(500000, 'x')});
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->status, 413);
}

TEST_F(TlsTest, ShowsTheNewCertificateAfterReload) {
  Start();
  std::filesystem::copy(File("cert.pem"), File("old.pem"));
  Write("127.0.0.1");
  EXPECT_EQ(StatusFor(File("old.pem")), 200);
  ASSERT_TRUE(listener_->ReloadCertificates().ok());
  EXPECT_EQ(StatusFor(File("old.pem")), 0);
  EXPECT_EQ(StatusFor(File("cert.pem")), 200);
}

TEST_F(TlsTest, KeepsTheOldCertificateIfTheNewIsBroken) {
  Start();
  std::filesystem::copy(File("cert.pem"), File("old.pem"));
  std::ofstream(File("cert.pem")) << "-----BEGIN CERTIFICATE-----\nnone\n";
  EXPECT_FALSE(listener_->ReloadCertificates().ok());
  EXPECT_EQ(StatusFor(File("old.pem")), 200);
  const auto other = MakeSelfSignedCertificate("127.0.0.1");
  std::ofstream(File("cert.pem")) << other->certificate;  // good, but the key is that of the old one
  EXPECT_FALSE(listener_->ReloadCertificates().ok());
  EXPECT_EQ(StatusFor(File("old.pem")), 200);
}

TEST_F(TlsTest, SeesChangedFilesByItself) {
  Start(absl::Milliseconds(20));
  Write("127.0.0.1");
  const absl::Time patience = absl::Now() + absl::Seconds(10);
  while (StatusFor(File("cert.pem")) != 200 && absl::Now() < patience) {
  }
  EXPECT_EQ(StatusFor(File("cert.pem")), 200);
}

TEST_F(TlsTest, RefusesAKeyOfAnotherCertificateAtTheStart) {
  const auto other = MakeSelfSignedCertificate("127.0.0.1");
  std::ofstream(File("key.pem")) << other->key;
  const auto listener = HttpListener::Start(
      {.listen = "127.0.0.1:0", .certificate_file = File("cert.pem"), .key_file = File("key.pem")}, handler_);
  EXPECT_EQ(listener.status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(TlsTest, ClosesWhoeverDoesNotSpeakTls) {
  Start();
  RawConnection plain(listener_->port());
  plain.Send("GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
  plain.ReceiveAll();
  EXPECT_TRUE(handler_.seen().empty());
  EXPECT_EQ(StatusFor(File("cert.pem")), 200);
}

TEST_F(TlsTest, KeepsTheKeyFromOthers) {
  struct stat found {};
  ASSERT_EQ(::stat(File("key.pem").c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777U, 0600U);
}

}  // namespace
}  // namespace postern::http
