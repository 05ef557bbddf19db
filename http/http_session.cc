#include "http/http_session.h"

#include <array>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/buffers_range.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <exception>
#include <type_traits>
#include <utility>

#include "absl/time/time.h"
#include "http/http_wire.h"
#include "matrix/refusal.h"
#include "telemetry/log.h"

namespace postern::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using ErrorCode = boost::system::error_code;
using matrix::Reason;
using Timer =
    asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>, Executor>;
template <class T>
using Awaitable = asio::awaitable<T, Executor>;
constexpr asio::use_awaitable_t<Executor> kAwait;

constexpr std::size_t kReadBytes = 8192;
constexpr absl::Duration kLongestGoodbye = absl::Seconds(2);

/// A body that takes memory as it comes: what its length is announced to be costs nothing yet.
struct GrowingBody {
  using value_type = std::string;

  class reader {
   public:
    template <bool is_request, class Fields>
    reader(beast::http::header<is_request, Fields>&, std::string& body) : body_(body) {}
    void init(const boost::optional<std::uint64_t>&, ErrorCode& failed) { failed = {}; }
    template <class Buffers>
    std::size_t put(const Buffers& buffers, ErrorCode& failed) {
      failed = {};
      std::size_t size = 0;
      for (const asio::const_buffer buffer : beast::buffers_range_ref(buffers)) {
        body_.append(static_cast<const char*>(buffer.data()), buffer.size());
        size += buffer.size();
      }
      return size;
    }
    void finish(ErrorCode& failed) { failed = {}; }

   private:
    std::string& body_;
  };
};
using Parser = beast::http::request_parser<GrowingBody>;

enum class After {
  kNextRequest,
  kClose,  // the answer is out, and the peer has sent what it had to send
  kDrain,  // the answer is out, and the peer may still be sending
  kGone,   // nothing more can be said
};

// What the far end of `Respond`, or of `BodySource::Give`, holds on to. The answer goes to the connection's thread; if
// there is no connection any more, nowhere.
template <class Answer>
class PendingAnswer {
 public:
  using Take = std::function<void(std::optional<Answer>)>;
  PendingAnswer(std::shared_ptr<IoThread> io, Take take) : io_(std::move(io)), take_(std::move(take)) {}
  ~PendingAnswer() { Deliver(std::nullopt); }
  PendingAnswer(const PendingAnswer&) = delete;
  PendingAnswer& operator=(const PendingAnswer&) = delete;

  void Deliver(std::optional<Answer> answer) {
    if (delivered_.exchange(true)) return;
    asio::post(io_->context,
               [take = std::move(take_), answer = std::move(answer)]() mutable { take(std::move(answer)); });
  }

 private:
  std::shared_ptr<IoThread> io_;
  Take take_;
  std::atomic<bool> delivered_{false};
};

template <class Stream>
class HttpSession final : public Session, public std::enable_shared_from_this<HttpSession<Stream>> {
 public:
  static constexpr bool kIsTls = !std::is_same_v<Stream, Socket>;

  template <class... StreamArgs>
  HttpSession(std::shared_ptr<IoThread> io, std::shared_ptr<SessionSurroundings> surroundings, StreamArgs&&... stream)
      : io_(std::move(io)),
        surroundings_(std::move(surroundings)),
        stream_(std::forward<StreamArgs>(stream)...),
        watchdog_(io_->context),
        answer_wait_(io_->context),
        // Room for the longest head, and then some for what is read at once of a body.
        buffer_(options().header_limit_bytes + 8 * kReadBytes) {
    ErrorCode failed;
    const auto peer = socket().remote_endpoint(failed);
    if (!failed) remote_address_ = AddressText(peer.address());
    io_->sessions.insert(this);
  }

  ~HttpSession() override = default;

  void Start() {
    asio::co_spawn(
        io_->context.get_executor(), [self = this->shared_from_this()] { return self->Serve(); },
        [self = this->shared_from_this()](const std::exception_ptr& thrown) { self->End(thrown); });
  }

  void CloseIfIdle() override {
    if (idle_ && IsUnwanted()) CancelIo();
  }

  void Cut() override {
    cut_ = true;
    ErrorCode ignored;
    socket().close(ignored);
    answer_wait_.cancel();
  }

 private:
  Awaitable<void> Serve() {
    if (surroundings_->cutting || !co_await Handshake()) co_return;
    After after = After::kNextRequest;
    while (after == After::kNextRequest) {
      after = co_await WaitForRequest() ? co_await ServeRequest() : After::kClose;
    }
    if (after != After::kGone && !cut_) co_await SayGoodbye(after);
  }

  Awaitable<bool> Handshake() {
    if constexpr (kIsTls) {
      ErrorCode failed;
      Arm(options().read_timeout);
      co_await stream_.async_handshake(asio::ssl::stream_base::server, asio::redirect_error(kAwait, failed));
      Disarm();
      if (failed) co_return false;
    }
    co_return true;
  }

  // False if the connection is to be closed instead.
  Awaitable<bool> WaitForRequest() {
    SkipEmptyLines();
    while (buffer_.size() == 0) {
      if (IsUnwanted()) co_return false;
      ErrorCode failed;
      idle_ = true;
      Arm(had_request_ ? options().idle_timeout : options().read_timeout);
      const std::size_t size =
          co_await stream_.async_read_some(buffer_.prepare(kReadBytes), asio::redirect_error(kAwait, failed));
      idle_ = false;
      if (failed) co_return false;
      buffer_.commit(size);
      SkipEmptyLines();
    }
    had_request_ = true;
    co_return true;
  }

  bool IsUnwanted() const { return cut_ || surroundings_->draining || (surroundings_->crowded && had_request_); }

  // Some clients end a body with a line feed that is not of it (RFC 9112, 2.2).
  void SkipEmptyLines() {
    while (buffer_.size() >= 2) {
      const auto* data = static_cast<const char*>(buffer_.data().data());
      if (data[0] != '\r' || data[1] != '\n') return;
      buffer_.consume(2);
    }
  }

  Awaitable<After> ServeRequest() {
    Parser parser;
    parser.header_limit(static_cast<std::uint32_t>(options().header_limit_bytes));
    parser.body_limit(boost::none);  // judged after the head, so that an unknown path is not answered 413
    keep_alive_ = false;
    is_head_ = false;
    is_http_1_0_ = false;
    ErrorCode failed;
    Arm(options().read_timeout);
    co_await beast::http::async_read_header(stream_, buffer_, parser, asio::redirect_error(kAwait, failed));
    if (failed) co_return co_await RefuseUnread(failed);
    const auto& head = parser.get();
    keep_alive_ = head.keep_alive();
    is_head_ = head.method() == beast::http::verb::head;
    is_http_1_0_ = head.version() < 11;
    if (const auto fault = FramingFault(head))
      co_return co_await Answer(Refused(Reason::kMalformedHttp, *fault), After::kDrain);
    Request request = ToRequest(head, !parser.is_done(), remote_address_);
    if (auto early = surroundings_->handler.OnHead(request)) co_return co_await AnswerEarly(*std::move(early), parser);
    const std::size_t limit = std::max(options().body_limit_bytes, surroundings_->handler.BodyLimitBytes(request));
    if (IsTooLong(parser, limit))
      co_return co_await Answer(Refused(Reason::kBodyTooLarge, "the body is too large"), After::kDrain);
    if (!parser.is_done()) {
      const auto share = std::make_shared<LargeBodies::Share>(surroundings_->large_bodies);
      if (!co_await ReadBody(parser, limit, *share, failed))
        co_return co_await Answer(Refused(Reason::kOverloaded, "too many large bodies at once"), After::kDrain);
      if (failed) co_return co_await RefuseUnread(failed);
      request.held = share;
    }
    Disarm();
    request.body = std::move(parser.get().body());
    auto response = co_await Ask(std::move(request));
    if (!response) co_return After::kGone;
    co_return co_await Answer(*std::move(response), After::kNextRequest);
  }

  // False if there is no room for a body beyond the usual size.
  Awaitable<bool> ReadBody(Parser& parser, std::size_t limit, LargeBodies::Share& share, ErrorCode& failed) {
    parser.body_limit(limit);
    if (ExpectsContinue(parser.get()) && buffer_.size() == 0) {
      constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
      co_await asio::async_write(stream_, asio::buffer(kContinue.data(), kContinue.size()),
                                 asio::redirect_error(kAwait, failed));
      if (failed) co_return true;
    }
    parser.eager(true);
    while (!parser.is_done()) {
      co_await beast::http::async_read_some(stream_, buffer_, parser, asio::redirect_error(kAwait, failed));
      if (failed) co_return true;
      const std::size_t size = parser.get().body().size();
      if (size > options().body_limit_bytes && !share.GrowTo(size)) co_return false;
    }
    co_return true;
  }

  // The answer does not wait for a body that it does not depend on; the connection lives on if the body's end can be
  // found.
  Awaitable<After> AnswerEarly(Response response, Parser& parser) {
    if (parser.is_done()) co_return co_await Answer(std::move(response), After::kNextRequest);
    if (IsTooLong(parser, options().body_limit_bytes) || ExpectsContinue(parser.get()))
      co_return co_await Answer(std::move(response), After::kDrain);
    const After after = co_await Answer(std::move(response), After::kNextRequest);
    if (after != After::kNextRequest) co_return after == After::kGone ? after : After::kDrain;
    ErrorCode failed;
    Arm(options().read_timeout);
    parser.body_limit(options().body_limit_bytes);
    co_await beast::http::async_read(stream_, buffer_, parser, asio::redirect_error(kAwait, failed));
    co_return failed ? After::kDrain : After::kNextRequest;
  }

  static bool IsTooLong(const Parser& parser, std::size_t limit) {
    const auto length = parser.content_length();
    return length && *length > limit;
  }

  // nullopt if the connection was cut meanwhile.
  Awaitable<std::optional<Response>> Ask(Request request) {
    answered_ = false;
    auto pending = std::make_shared<PendingAnswer<Response>>(
        io_, [weak = this->weak_from_this()](std::optional<Response> response) {
          const auto self = weak.lock();
          if (self == nullptr) return;
          self->answer_ = std::move(response);
          self->WakeUp();
        });
    Respond respond = [pending = std::move(pending)](Response response) { pending->Deliver(std::move(response)); };
    try {
      surroundings_->handler.OnRequest(std::move(request), std::move(respond));
    } catch (const std::exception& thrown) {
      telemetry::Log(telemetry::Level::kError, "a request handler threw", {{"detail", thrown.what()}});
    }
    respond = nullptr;  // whoever still holds a copy may answer
    co_await UntilAnswered();
    if (cut_) co_return std::nullopt;
    if (!answer_) co_return Refused(Reason::kInternal, "nobody answered");
    co_return std::exchange(answer_, std::nullopt);
  }

  Awaitable<void> UntilAnswered() {
    while (!answered_ && !cut_) {
      ErrorCode woken;
      answer_wait_.expires_at(Timer::time_point::max());
      co_await answer_wait_.async_wait(asio::redirect_error(kAwait, woken));
    }
  }

  void WakeUp() {
    answered_ = true;
    answer_wait_.cancel();
  }

  // nullopt if there is none to be had, or the connection was cut meanwhile.
  Awaitable<std::optional<std::string>> NextPiece(BodySource& source) {
    answered_ = false;
    piece_.reset();
    using Pending = PendingAnswer<absl::StatusOr<std::string>>;
    auto pending = std::make_shared<Pending>(
        io_, [weak = this->weak_from_this()](std::optional<absl::StatusOr<std::string>> piece) {
          const auto self = weak.lock();
          if (self == nullptr) return;
          self->piece_ = std::move(piece);
          self->WakeUp();
        });
    source.Next(
        [pending = std::move(pending)](absl::StatusOr<std::string> piece) { pending->Deliver(std::move(piece)); });
    co_await UntilAnswered();
    if (cut_ || !piece_) co_return std::nullopt;
    if (piece_->ok()) co_return **std::exchange(piece_, std::nullopt);
    telemetry::Log(telemetry::Level::kWarning, "an answer was cut",
                   {{"reason", matrix::RefusalOf(matrix::ReasonOf(piece_->status())).name},
                    {"detail", matrix::DetailOf(piece_->status())}});
    co_return std::nullopt;
  }

  Response Refused(Reason reason, std::string_view detail) const {
    return surroundings_->handler.OnRefused(matrix::Refuse(reason, detail));
  }

  // A request that did not become one.
  Awaitable<After> RefuseUnread(const ErrorCode& failed) {
    using beast::http::error;
    if (timed_out_)
      co_return co_await Answer(Refused(Reason::kRequestTimeout, "the request did not come in time"), After::kDrain);
    if (failed == error::header_limit || failed == error::buffer_overflow) {
      co_return co_await Answer(Refused(Reason::kHeadersTooLarge, "the headers are too large"), After::kDrain);
    }
    if (failed == error::body_limit) {
      co_return co_await Answer(Refused(Reason::kBodyTooLarge, "the body is too large"), After::kDrain);
    }
    if (failed.category() == beast::http::make_error_code(error::bad_method).category() &&
        failed != error::end_of_stream) {
      co_return co_await Answer(Refused(Reason::kMalformedHttp, failed.message()), After::kDrain);
    }
    co_return After::kGone;
  }

  // The pieces are written as they come, one at a time: who reads slowly holds one.
  Awaitable<After> AnswerInPieces(Response response) {
    const bool chunked = !is_http_1_0_;
    const bool keep_alive = chunked && keep_alive_ && !surroundings_->draining;
    std::string head = FormatHead(response, keep_alive, is_http_1_0_);
    std::optional<std::string> piece = std::move(response.body);
    for (bool first = true; piece && (first || !piece->empty()); first = false) {
      if (chunked && !piece->empty()) head += ChunkHead(piece->size());
      const std::string_view end = chunked && !piece->empty() ? "\r\n" : "";
      const std::array<asio::const_buffer, 3> wire{asio::buffer(head), asio::buffer(*piece),
                                                   asio::buffer(end.data(), end.size())};
      if (!co_await Write(wire)) co_return After::kGone;
      head.clear();
      piece = co_await NextPiece(*response.rest);
    }
    if (!piece) co_return After::kGone;
    if (chunked && !co_await Write(asio::buffer("0\r\n\r\n", 5))) co_return After::kGone;
    co_return keep_alive ? After::kNextRequest : After::kClose;
  }

  template <class Buffers>
  Awaitable<bool> Write(const Buffers& wire) {
    ErrorCode failed;
    Arm(options().write_timeout);
    co_await asio::async_write(stream_, wire, asio::redirect_error(kAwait, failed));
    Disarm();
    co_return !failed;
  }

  Awaitable<After> Answer(Response response, After after) {
    if (response.rest != nullptr && after == After::kNextRequest && !is_head_) {
      co_return co_await AnswerInPieces(std::move(response));
    }
    const bool keep_alive = after == After::kNextRequest && keep_alive_ && !surroundings_->draining;
    const std::string head = FormatHead(response, keep_alive, is_http_1_0_);
    const bool has_body = !is_head_ && response.status != 204 && response.status != 304;
    const std::array<asio::const_buffer, 2> wire{
        asio::buffer(head), asio::buffer(response.body.data(), has_body ? response.body.size() : 0)};
    if (!co_await Write(wire)) co_return After::kGone;
    co_return keep_alive || after != After::kNextRequest ? after : After::kClose;
  }

  // Closing a socket with unread bytes resets the connection, and a reset destroys an answer that the peer has not read
  // yet.
  Awaitable<void> SayGoodbye(After after) {
    ErrorCode failed;
    Arm(after == After::kDrain ? options().read_timeout : std::min(options().read_timeout, kLongestGoodbye));
    if constexpr (kIsTls) co_await stream_.async_shutdown(asio::redirect_error(kAwait, failed));
    if (timed_out_) co_return;
    socket().shutdown(asio::socket_base::shutdown_send, failed);
    std::array<char, kReadBytes> dropped;
    for (std::size_t total = 0; !failed && !timed_out_ && total < options().drain_limit_bytes;) {
      total += co_await socket().async_read_some(asio::buffer(dropped), asio::redirect_error(kAwait, failed));
    }
  }

  void End(const std::exception_ptr& thrown) {
    Disarm();
    ErrorCode ignored;
    socket().close(ignored);
    io_->sessions.erase(this);
    surroundings_->on_end();
    if (!thrown) return;
    try {
      std::rethrow_exception(thrown);
    } catch (const std::exception& error) {
      telemetry::Log(telemetry::Level::kError, "a connection ended by an exception", {{"detail", error.what()}});
    }
  }

  // Until Disarm, or the next Arm, whatever is read or written is cancelled after `time`. The socket stays open: there
  // may be an answer to give.
  void Arm(absl::Duration time) {
    timed_out_ = false;
    watchdog_.expires_after(absl::ToChronoNanoseconds(time));
    watchdog_.async_wait([self = this->shared_from_this(), expiry = watchdog_.expiry()](const ErrorCode& cancelled) {
      if (cancelled || self->watchdog_.expiry() != expiry) return;
      self->timed_out_ = true;
      self->CancelIo();
    });
  }

  void Disarm() { watchdog_.expires_at(Timer::time_point::max()); }

  void CancelIo() {
    ErrorCode ignored;
    socket().cancel(ignored);
  }

  static std::string AddressText(const asio::ip::address& address) {
    if (address.is_v6() && address.to_v6().is_v4_mapped()) {
      return asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6()).to_string();
    }
    return address.to_string();
  }

  Socket& socket() {
    if constexpr (kIsTls) {
      return stream_.next_layer();
    } else {
      return stream_;
    }
  }
  const ListenerOptions& options() const { return surroundings_->options; }

  const std::shared_ptr<IoThread> io_;
  const std::shared_ptr<SessionSurroundings> surroundings_;
  Stream stream_;
  Timer watchdog_;
  Timer answer_wait_;
  beast::flat_buffer buffer_;
  std::string remote_address_;
  std::optional<Response> answer_;
  std::optional<absl::StatusOr<std::string>> piece_;
  bool answered_ = false;
  bool had_request_ = false;
  bool idle_ = false;
  bool timed_out_ = false;
  bool cut_ = false;
  bool keep_alive_ = false;
  bool is_head_ = false;
  bool is_http_1_0_ = false;
};

}  // namespace

void StartSession(std::shared_ptr<IoThread> io, Socket socket, std::shared_ptr<asio::ssl::context> tls,
                  std::shared_ptr<SessionSurroundings> surroundings) {
  if (tls) {
    std::make_shared<HttpSession<asio::ssl::stream<Socket>>>(std::move(io), std::move(surroundings), std::move(socket),
                                                             *tls)
        ->Start();
  } else {
    std::make_shared<HttpSession<Socket>>(std::move(io), std::move(surroundings), std::move(socket))->Start();
  }
}

}  // namespace postern::http
