#include "http/http_listener.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <charconv>
#include <condition_variable>
#include <mutex>
#include <utility>

#include "absl/time/clock.h"
#include "http/http_session.h"
#include "http/tls_certificates.h"
#include "matrix/refusal.h"
#include "telemetry/log.h"

namespace postern::http {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using ErrorCode = boost::system::error_code;
using Acceptor = asio::basic_socket_acceptor<tcp, Executor>;
using Timer =
    asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>, Executor>;
constexpr asio::use_awaitable_t<Executor> kAwait;

constexpr auto kPauseAfterFailedAccept = std::chrono::milliseconds(100);

absl::Status CannotListen(const std::string& listen, const std::string& why) {
  return matrix::Refuse(matrix::Reason::kInvalidArgument, fmt::format("cannot listen on {}: {}", listen, why));
}

absl::StatusOr<tcp::endpoint> EndpointOf(const std::string& listen) {
  const std::size_t colon = listen.rfind(':');
  if (colon == std::string::npos) return CannotListen(listen, "expected ADDRESS:PORT");
  std::string host = listen.substr(0, colon);
  std::uint16_t port = 0;
  const char* end = listen.data() + listen.size();
  const auto [rest, wrong] = std::from_chars(listen.data() + colon + 1, end, port);
  if (wrong != std::errc{} || rest != end) return CannotListen(listen, "expected a port from 0 to 65535");
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  if (host == "localhost") host = "127.0.0.1";
  ErrorCode failed;
  const auto address = asio::ip::make_address(host, failed);
  if (failed) return CannotListen(listen, "expected an IP address");
  return tcp::endpoint(address, port);
}

std::vector<std::shared_ptr<IoThread>> MakeIoThreads(std::size_t count) {
  std::vector<std::shared_ptr<IoThread>> threads;
  do {
    threads.push_back(std::make_shared<IoThread>());
  } while (threads.size() < count);
  return threads;
}

class Listener final : public HttpListener {
 public:
  Listener(const ListenerOptions& options, RequestHandler& handler)
      : surroundings_(
            new SessionSurroundings{options, handler, {}, {}, {}, LargeBodies(options.large_bodies_bytes), {}}),
        io_(MakeIoThreads(options.io_threads)) {
    surroundings_->on_end = [this] { OnSessionEnd(); };
  }

  ~Listener() override { Shutdown(absl::InfinitePast()); }

  absl::Status Open() {
    const ListenerOptions& options = surroundings_->options;
    if (!options.certificate_file.empty() || !options.key_file.empty()) {
      auto certificates = TlsCertificates::Load(options.certificate_file, options.key_file);
      if (!certificates.ok()) return certificates.status();
      certificates_ = *std::move(certificates);
    }
    const auto endpoint = EndpointOf(options.listen);
    if (!endpoint.ok()) return endpoint.status();
    try {
      acceptor_.open(endpoint->protocol());
      acceptor_.set_option(asio::socket_base::reuse_address(true));
      if (endpoint->address().is_v6()) acceptor_.set_option(asio::ip::v6_only(false));
      acceptor_.bind(*endpoint);
      acceptor_.listen(asio::socket_base::max_listen_connections);
      port_ = acceptor_.local_endpoint().port();
    } catch (const boost::system::system_error& failed) {
      return CannotListen(options.listen, failed.code().message());
    }
    Run();
    return absl::OkStatus();
  }

  int port() const override { return port_; }

  absl::Status ReloadCertificates() override { return certificates_ ? certificates_->Reload() : absl::OkStatus(); }

  void Shutdown(absl::Time deadline) override {
    const std::lock_guard shutting_down(shutdown_mutex_);
    if (surroundings_->draining.exchange(true)) return;
    asio::post(io_.front()->context, [this] {
      ErrorCode ignored;
      acceptor_.close(ignored);
      slot_freed_.cancel();
      certificates_due_.cancel();
    });
    OnEverySession(&Session::CloseIfIdle);
    AwaitSessions(deadline);
    surroundings_->cutting = true;
    OnEverySession(&Session::Cut);
    AwaitSessions(absl::InfiniteFuture());
    for (const auto& io : io_) io->work.reset();
    for (const auto& io : io_) {
      if (io->thread.joinable()) io->thread.join();
    }
  }

 private:
  void Run() {
    asio::co_spawn(
        io_.front()->context.get_executor(), [this] { return Accept(); }, asio::detached);
    if (certificates_)
      asio::co_spawn(
          io_.front()->context.get_executor(), [this] { return WatchCertificates(); }, asio::detached);
    for (const auto& io : io_) io->thread = std::thread([&context = io->context] { context.run(); });
  }

  asio::awaitable<void, Executor> Accept() {
    for (std::size_t next = 0; acceptor_.is_open(); next = (next + 1) % io_.size()) {
      const auto& io = io_[next];
      ErrorCode failed;
      co_await acceptor_.async_wait(Acceptor::wait_read, asio::redirect_error(kAwait, failed));
      while (acceptor_.is_open() && IsFull()) co_await AwaitSlot();
      Socket socket = co_await acceptor_.async_accept(io->context.get_executor(), asio::redirect_error(kAwait, failed));
      if (!acceptor_.is_open()) co_return;
      if (failed) {
        telemetry::Log(telemetry::Level::kWarning, "a connection could not be accepted",
                       {{"detail", failed.message()}});
        slot_freed_.expires_after(kPauseAfterFailedAccept);
        co_await slot_freed_.async_wait(asio::redirect_error(kAwait, failed));
        continue;
      }
      Serve(io, std::move(socket));
    }
  }

  void Serve(const std::shared_ptr<IoThread>& io, Socket socket) {
    ErrorCode ignored;
    socket.set_option(tcp::no_delay(true), ignored);
    {
      const std::lock_guard lock(mutex_);
      ++open_;
    }
    asio::post(io->context,
               [io = std::shared_ptr(io), socket = std::move(socket),
                tls = certificates_ ? certificates_->current() : nullptr, surroundings = surroundings_]() mutable {
                 StartSession(std::move(io), std::move(socket), std::move(tls), std::move(surroundings));
               });
  }

  bool IsFull() {
    const std::lock_guard lock(mutex_);
    return open_ >= surroundings_->options.max_connections;
  }

  // Who waits between two requests makes room; others come to their end by their timeouts.
  asio::awaitable<void, Executor> AwaitSlot() {
    surroundings_->crowded = true;
    OnEverySession(&Session::CloseIfIdle);
    ErrorCode woken;
    slot_freed_.expires_at(Timer::time_point::max());
    co_await slot_freed_.async_wait(asio::redirect_error(kAwait, woken));
    surroundings_->crowded = false;
  }

  asio::awaitable<void, Executor> WatchCertificates() {
    while (acceptor_.is_open()) {
      ErrorCode stopped;
      certificates_due_.expires_after(absl::ToChronoNanoseconds(surroundings_->options.certificate_check_interval));
      co_await certificates_due_.async_wait(asio::redirect_error(kAwait, stopped));
      if (!stopped) certificates_->ReloadIfChanged();
    }
  }

  void OnEverySession(void (Session::*act)()) {
    for (const auto& io : io_) {
      asio::post(io->context, [io = io.get(), act] {
        for (Session* session : io->sessions) (session->*act)();
      });
    }
  }

  void OnSessionEnd() {
    bool was_full = false;
    {
      const std::lock_guard lock(mutex_);
      was_full = open_-- >= surroundings_->options.max_connections;
      // Under the lock: once it is released with none open, the listener may be gone.
      if (was_full && !surroundings_->draining) asio::post(io_.front()->context, [this] { slot_freed_.cancel(); });
      none_open_.notify_all();
    }
  }

  void AwaitSessions(absl::Time deadline) {
    std::unique_lock lock(mutex_);
    const auto none = [this] { return open_ == 0; };
    if (deadline == absl::InfiniteFuture()) {
      none_open_.wait(lock, none);
    } else {
      none_open_.wait_until(lock, absl::ToChronoTime(std::max(deadline, absl::UnixEpoch())), none);
    }
  }

  const std::shared_ptr<SessionSurroundings> surroundings_;
  const std::vector<std::shared_ptr<IoThread>> io_;
  Acceptor acceptor_{io_.front()->context};
  Timer slot_freed_{io_.front()->context};
  Timer certificates_due_{io_.front()->context};
  std::unique_ptr<TlsCertificates> certificates_;
  int port_ = 0;
  std::mutex shutdown_mutex_;
  std::mutex mutex_;
  std::condition_variable none_open_;
  std::size_t open_ = 0;  // accepted and not ended yet
};

}  // namespace

absl::StatusOr<std::unique_ptr<HttpListener>> HttpListener::Start(const ListenerOptions& options,
                                                                  RequestHandler& handler) {
  auto listener = std::make_unique<Listener>(options, handler);
  if (auto status = listener->Open(); !status.ok()) return status;
  return listener;
}

}  // namespace postern::http
