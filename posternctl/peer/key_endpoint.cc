#include "posternctl/peer/key_endpoint.h"

#include <fmt/format.h>

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

#include "absl/time/clock.h"
#include "http/http_listener.h"
#include "http/self_signed_certificate.h"
#include "matrix/canonical_json.h"
#include "matrix/refusal.h"

namespace postern::peer {
namespace {

using matrix::Reason;

constexpr std::string_view kKeyPath = "/_matrix/key/v2/server";
constexpr std::string_view kInvitePath = "/_matrix/federation/v2/invite/";

// Where the certificate's two files are while they are served.
class PrivateDirectory {
 public:
  static absl::StatusOr<PrivateDirectory> Make() {
    std::error_code error;
    std::string path = (std::filesystem::temp_directory_path(error) / "postern-key-XXXXXX").string();
    if (error || mkdtemp(path.data()) == nullptr) {
      return matrix::Refuse(Reason::kInvalidArgument, fmt::format("{}: cannot be made", path));
    }
    return PrivateDirectory(std::move(path));
  }
  PrivateDirectory(PrivateDirectory&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  PrivateDirectory& operator=(PrivateDirectory&&) = delete;
  ~PrivateDirectory() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  std::string File(std::string_view name) const { return fmt::format("{}/{}", path_, name); }

 private:
  explicit PrivateDirectory(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

http::Response Refused(Reason reason, std::string_view error) {
  const matrix::Refusal& row = matrix::RefusalOf(reason);
  matrix::JsonObject body;
  body.Set("errcode", row.errcode);
  body.Set("error", error);
  return {.status = row.http_status, .headers = {}, .body = matrix::CanonicalJson(body)};
}

class HttpsKeyEndpoint : public KeyEndpoint, private http::RequestHandler {
 public:
  HttpsKeyEndpoint(const ServerIdentity& identity, PrivateDirectory directory, Beside beside)
      : identity_(identity), directory_(std::move(directory)), beside_(std::move(beside)) {}

  absl::Status Listen(const std::string& listen) {
    http::ListenerOptions options{.listen = listen,
                                  .certificate_file = directory_.File("certificate.pem"),
                                  .key_file = directory_.File("key.pem"),
                                  .io_threads = 1};
    const auto pem = http::MakeSelfSignedCertificate(std::string(identity_.server_name().host()));
    if (!pem.ok()) return pem.status();
    const absl::Status written = http::WritePem(*pem, options.certificate_file, options.key_file);
    if (!written.ok()) return written;
    auto listener = http::HttpListener::Start(options, *this);
    if (!listener.ok()) return listener.status();
    listener_ = *std::move(listener);
    return absl::OkStatus();
  }

  int port() const override { return listener_->port(); }
  int requests() const override { return requests_; }

 private:
  std::optional<http::Response> OnHead(const http::Request& head) override {
    // The path may name a key id, as old servers do.
    if (!IsOfKeys(head) && !IsInvite(head)) {
      return beside_ ? std::nullopt : std::optional(Refused(Reason::kUnknownPath, "keys and invites are served here"));
    }
    if (head.method != (IsInvite(head) ? "PUT" : "GET")) return Refused(Reason::kUnknownMethod, "not by this method");
    return std::nullopt;
  }

  void OnRequest(http::Request request, http::Respond respond) override {
    if (IsInvite(request)) return respond(SignedInvite(request.body));
    if (!IsOfKeys(request)) {
      return respond(beside_(request).value_or(Refused(Reason::kUnknownPath, "this is not served here")));
    }
    ++requests_;
    respond({.status = 200, .headers = {}, .body = matrix::CanonicalJson(identity_.KeyDocument(absl::Now()))});
  }

  http::Response OnRefused(const absl::Status& why) override {
    return Refused(matrix::ReasonOf(why), matrix::DetailOf(why));
  }

  static bool IsOfKeys(const http::Request& request) { return http::PathOf(request.target).starts_with(kKeyPath); }
  static bool IsInvite(const http::Request& request) { return request.target.starts_with(kInvitePath); }

  http::Response SignedInvite(std::string_view body) const {
    auto json = matrix::ParseJson(body);
    matrix::JsonObject* content = json.ok() ? json->AsObject() : nullptr;
    matrix::Json* event = content == nullptr ? nullptr : content->Find("event");
    const matrix::Json* version = content == nullptr ? nullptr : content->Find("room_version");
    const bool reads = event != nullptr && event->AsObject() != nullptr && version != nullptr && version->AsString();
    const matrix::RoomRules* rules = reads ? matrix::FindRoomRules(*version->AsString()) : nullptr;
    if (rules == nullptr)
      return Refused(Reason::kBadJson, "the body is no invite to a room of a version that is known");
    matrix::SignEvent(*event->AsObject(), identity_.name(), identity_.key(), *rules);
    matrix::JsonObject answer;
    answer.Set("event", std::move(*event));
    return {.status = 200, .headers = {}, .body = matrix::CanonicalJson(answer)};
  }

  const ServerIdentity& identity_;
  const PrivateDirectory directory_;
  const Beside beside_;
  std::atomic<int> requests_ = 0;
  std::unique_ptr<http::HttpListener> listener_;  // goes first: it calls the rest
};

}  // namespace

absl::StatusOr<std::unique_ptr<KeyEndpoint>> KeyEndpoint::Start(const ServerIdentity& identity,
                                                                const std::string& listen, Beside beside) {
  auto directory = PrivateDirectory::Make();
  if (!directory.ok()) return directory.status();
  auto endpoint = std::make_unique<HttpsKeyEndpoint>(identity, *std::move(directory), std::move(beside));
  const absl::Status listening = endpoint->Listen(listen);
  if (!listening.ok()) return listening;
  return std::unique_ptr<KeyEndpoint>(std::move(endpoint));
}

std::string LoopbackAddressOf(const matrix::ServerName& name) {
  const std::optional<std::uint16_t> port = name.port();
  if (!port) return "";
  const std::string_view host = name.host();
  if (host == "localhost") return fmt::format("127.0.0.1:{}", *port);
  const bool loopback = name.IsIpLiteral() && (host.starts_with("127.") || host == "::1");
  return loopback ? fmt::format("{}:{}", name.host_as_written(), *port) : "";
}

}  // namespace postern::peer
