#include "tests/http/told_handler.h"

#include <stdexcept>

#include "matrix/refusal.h"

namespace postern::http {

std::optional<Response> ToldHandler::OnHead(const Request& head) {
  if (head.target.starts_with("/unknown")) return Response{404, {}, "unknown"};
  return std::nullopt;
}

std::size_t ToldHandler::BodyLimitBytes(const Request& head) {
  return head.target == "/big" || head.target == "/hold-big" ? 1'000'000 : 0;
}

void ToldHandler::OnRequest(Request request, Respond respond) {
  {
    const std::lock_guard lock(mutex_);
    if (request.target == "/hold-big") holding_.push_back(request.held);
    seen_.push_back(request);
    seen_.back().held = nullptr;
    if (request.target == "/hold" || request.target == "/hold-big") {
      waiting_.push_back(std::move(respond));
      held_.notify_all();
      return;
    }
  }
  if (request.target == "/drop") return;
  if (request.target == "/throw") throw std::runtime_error("as told");
  if (request.target == "/large") return respond({200, {}, std::string(64 << 20, 'x')});
  if (request.target == "/inject") return respond({200, {{"X-Text", "a\r\nX-Forged: b"}}, ""});
  respond({200, {{"Content-Type", "text/plain"}}, request.method + " " + request.target + " " + request.body});
}

Response ToldHandler::OnRefused(const absl::Status& why) {
  const matrix::Refusal& row = matrix::RefusalOf(matrix::ReasonOf(why));
  return {row.http_status, {}, std::string(row.name)};
}

void ToldHandler::AwaitHeld() {
  std::unique_lock lock(mutex_);
  held_.wait(lock, [this] { return !waiting_.empty(); });
}

void ToldHandler::Release() {
  AwaitHeld();
  const std::lock_guard lock(mutex_);
  for (const Respond& respond : waiting_) respond({200, {}, "released"});
  waiting_.clear();
  holding_.clear();
}

std::vector<Request> ToldHandler::seen() const {
  const std::lock_guard lock(mutex_);
  return seen_;
}

}  // namespace postern::http
