// Another server's key endpoint, over TLS on loopback.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "http/http_listener.h"
#include "http/self_signed_certificate.h"
#include "matrix/canonical_json.h"
#include "tests/gateway/remote_server.h"

namespace postern::gateway {

/// A server that publishes a key document, or whatever the test says.
class KeyEndpoint : public http::RequestHandler {
 public:
  KeyEndpoint() {
    EXPECT_TRUE(http::WritePem(*http::MakeSelfSignedCertificate("127.0.0.1"), certificate_, key_).ok());
    http::ListenerOptions options;
    options.listen = "127.0.0.1:0";
    options.certificate_file = certificate_;
    options.key_file = key_;
    auto listener = http::HttpListener::Start(options, *this);
    EXPECT_TRUE(listener.ok()) << listener.status();
    listener_ = std::move(*listener);
    Answer({.status = 200,
            .headers = {},
            .body = matrix::CanonicalJson(RemoteServer(name()).KeyDocument(absl::Now() + absl::Hours(1)))});
  }
  ~KeyEndpoint() override {
    listener_->Shutdown(absl::Now() + absl::Seconds(5));
    std::remove(certificate_.c_str());
    std::remove(key_.c_str());
  }

  std::string name() const { return "127.0.0.1:" + std::to_string(listener_->port()); }
  const std::string& certificate() const { return certificate_; }
  void Answer(http::Response response) {
    const std::lock_guard lock(mutex_);
    answer_ = [response = std::move(response)](const http::Request&) { return response; };
  }
  void AnswerBy(std::function<http::Response(const http::Request&)> answer) {
    const std::lock_guard lock(mutex_);
    answer_ = std::move(answer);
  }
  /// Requests that come are answered only once Release is called.
  void Hold() {
    const std::lock_guard lock(mutex_);
    held_.emplace();
  }
  void Release() {
    const std::lock_guard lock(mutex_);
    for (const auto& [request, respond] : *held_) respond(answer_(request));
    held_.reset();
  }
  http::Request last() const {
    const std::lock_guard lock(mutex_);
    return last_;
  }

  std::optional<http::Response> OnHead(const http::Request&) override { return std::nullopt; }
  void OnRequest(http::Request request, http::Respond respond) override {
    const std::lock_guard lock(mutex_);
    last_ = std::move(request);
    if (held_) {
      held_->emplace_back(last_, std::move(respond));
    } else {
      respond(answer_(last_));
    }
  }
  http::Response OnRefused(const absl::Status&) override { return {.status = 500, .headers = {}, .body = {}}; }

 private:
  const std::string certificate_ = testing::TempDir() + "/postern_endpoint_" + std::to_string(getpid()) + ".crt";
  const std::string key_ = testing::TempDir() + "/postern_endpoint_" + std::to_string(getpid()) + ".key";
  mutable std::mutex mutex_;
  std::function<http::Response(const http::Request&)> answer_;
  http::Request last_;
  std::optional<std::vector<std::pair<http::Request, http::Respond>>> held_;
  std::unique_ptr<http::HttpListener> listener_;
};

}  // namespace postern::gateway
