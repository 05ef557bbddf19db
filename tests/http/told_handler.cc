#include "tests/http/told_handler.h"

#include <functional>
#include <stdexcept>
#include <thread>
#include <utility>

#include "matrix/refusal.h"

namespace postern::http {

namespace {

/// Gives what `make` says, each from a thread of its own.
class ToldPieces : public BodySource {
 public:
  explicit ToldPieces(std::function<std::optional<absl::StatusOr<std::string>>()> make) : make_(std::move(make)) {}
  ~ToldPieces() override {
    if (giving_.joinable()) giving_.join();
  }
  void Next(Give give) override {
    if (giving_.joinable()) giving_.join();
    giving_ = std::thread([this, give] {
      if (auto piece = make_()) give(*std::move(piece));
    });
  }

 private:
  const std::function<std::optional<absl::StatusOr<std::string>>()> make_;
  std::thread giving_;
};

std::shared_ptr<BodySource> PiecesOf(std::vector<std::string> pieces) {
  return std::make_shared<ToldPieces>([pieces, next = std::make_shared<std::size_t>(0)] {
    return std::optional<absl::StatusOr<std::string>>(*next < pieces.size() ? pieces[(*next)++] : "");
  });
}

}  // namespace

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
  if (request.target == "/pieces") return respond({.body = "one ", .rest = PiecesOf({"two ", "three"})});
  if (request.target == "/pieces/empty") return respond({.rest = PiecesOf({})});
  if (request.target == "/broken") {
    return respond({.body = "one ", .rest = std::make_shared<ToldPieces>([] {
                                      return absl::StatusOr<std::string>(
                                          matrix::Refuse(matrix::Reason::kStoreDown, "as told"));
                                    })});
  }
  if (request.target == "/lost") {
    return respond({.body = "one ",
                    .rest = std::make_shared<ToldPieces>([] { return std::optional<absl::StatusOr<std::string>>(); })});
  }
  if (request.target == "/endless") {
    return respond({.rest = std::make_shared<ToldPieces>([this] {
                      ++pieces_;
                      return absl::StatusOr<std::string>(std::string(1 << 20, 'x'));
                    })});
  }
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
