// A homeserver of a few answers: it keeps what it was sent.
#pragma once

#include <fmt/format.h>

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "http/http_listener.h"

namespace postern::peer {

class FakeHomeserver : private http::RequestHandler {
 public:
  explicit FakeHomeserver(const http::ListenerOptions& options = {.listen = "127.0.0.1:0", .io_threads = 1}) {
    auto listener = http::HttpListener::Start(options, *this);
    if (listener.ok()) listener_ = *std::move(listener);
    Answers("GET /_matrix/key/v2/server", 200, R"({"server_name":"here.example"})");
  }

  /// `what` is a method and the start of a path, "PUT /_matrix/federation/v2/send_leave"; the longest that fits
  /// answers.
  void Answers(const std::string& what, int status, const std::string& body) {
    const std::lock_guard lock(mutex_);
    answers_[what] = {status, body};
  }
  std::string authority() const { return fmt::format("127.0.0.1:{}", listener_->port()); }
  std::string url(const std::string& scheme = "http") const { return scheme + "://" + authority(); }
  std::vector<http::Request> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

 private:
  std::optional<http::Response> OnHead(const http::Request& /*head*/) override { return std::nullopt; }

  void OnRequest(http::Request request, http::Respond respond) override {
    http::Response response{.status = 404, .headers = {}, .body = R"({"errcode":"M_UNRECOGNIZED"})"};
    {
      const std::lock_guard lock(mutex_);
      const std::string what = request.method + " " + request.target;
      for (const auto& [start, answer] : answers_) {
        if (what.starts_with(start)) response = {.status = answer.first, .headers = {}, .body = answer.second};
      }
      requests_.push_back(std::move(request));
    }
    respond(std::move(response));
  }

  http::Response OnRefused(const absl::Status& /*why*/) override {
    return {.status = 500, .headers = {}, .body = "{}"};
  }

  mutable std::mutex mutex_;
  std::map<std::string, std::pair<int, std::string>> answers_;
  std::vector<http::Request> requests_;
  std::unique_ptr<http::HttpListener> listener_;
};

/// A make_leave answer for @bob:there.example in !r:here.example, with members that nobody should sign.
inline std::string TemplateBody(const std::string& version, const std::string& user = "@bob:there.example") {
  const bool pairs = version == "1" || version == "2";
  return fmt::format(
      R"({{"room_version":"{}","event":{{"type":"m.room.member","room_id":"!r:here.example","sender":"{}","state_key":"{}",)"
      R"("content":{{"membership":"leave","injected":true}},"depth":7,"origin_server_ts":1,"prev_events":[{}],)"
      R"("auth_events":[],"injected":"x"}}}})",
      version, user, user, pairs ? R"(["$p:here.example",{"sha256":"AAAA"}])" : R"("$prev")");
}

}  // namespace postern::peer
