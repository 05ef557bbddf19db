// An HTTP/1.1 server with keep-alive, limits and timeouts on everything a peer sends; plain, or TLS with certificates
// that are read again when their files change. Reading and writing are asynchronous: a slow peer holds a socket, never
// a worker.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "http/http_message.h"

namespace postern::http {

struct ListenerOptions {
  std::string listen{};            // "127.0.0.1:0", "[::]:8448"
  std::string certificate_file{};  // PEM chain; both empty: plain HTTP
  std::string key_file{};
  std::size_t io_threads = 2;
  std::size_t header_limit_bytes = 16 * 1024;
  std::size_t body_limit_bytes = 128 * 1024;
  /// Of the bodies that are longer than that, because the handler lets them be, in all: from their first byte until
  /// their requests are gone.
  std::size_t large_bodies_bytes = 16 * 1024 * 1024;
  /// Of what comes after a body that is too large, read and dropped before closing.
  std::size_t drain_limit_bytes = 1024 * 1024;
  absl::Duration read_timeout = absl::Seconds(20);
  absl::Duration idle_timeout = absl::Seconds(120);
  absl::Duration write_timeout = absl::Seconds(20);
  /// At the limit, connections that wait between two requests are closed, and new ones wait until there is room.
  std::size_t max_connections = 10000;
  absl::Duration certificate_check_interval = absl::Seconds(5);
};

/// Gives the answer of one request; may be called from any thread, at most once. If it is destroyed unused, the peer
/// gets the answer of `RequestHandler::OnRefused(kInternal)`.
using Respond = std::function<void(Response)>;

class RequestHandler {
 public:
  virtual ~RequestHandler() = default;

  /// Called with the head only, before any of the body is read: an answer ends the request here (unknown path, unknown
  /// method, a client address over its limit). Runs on an I/O thread: must not block.
  virtual std::optional<Response> OnHead(const Request& head) = 0;

  /// How long the body of such a request may be, where that is more than the listener's limit. Called after OnHead.
  virtual std::size_t BodyLimitBytes(const Request& /*head*/) { return 0; }

  /// A whole request. Runs on an I/O thread: hand the work over, and answer from wherever it ends.
  virtual void OnRequest(Request request, Respond respond) = 0;

  /// The answer to a request that never became one: its status carries kBodyTooLarge, kRequestTimeout,
  /// kHeadersTooLarge, kMalformedHttp, kOverloaded (there are too many large bodies) or kInternal.
  virtual Response OnRefused(const absl::Status& why) = 0;
};

class HttpListener {
 public:
  /// Refuses: kInvalidArgument, naming the address or the file.
  static absl::StatusOr<std::unique_ptr<HttpListener>> Start(const ListenerOptions& options, RequestHandler& handler);
  virtual ~HttpListener() = default;

  virtual int port() const = 0;
  /// Reads the certificate files again at once (they are watched as well). The old ones stay if the new ones are
  /// broken.
  virtual absl::Status ReloadCertificates() = 0;
  /// Accepts no new connections, answers what is in flight with `Connection: close`, closes idle ones; cuts the rest at
  /// `deadline`.
  virtual void Shutdown(absl::Time deadline) = 0;
};

}  // namespace postern::http
