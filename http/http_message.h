// Requests and answers as the routes see them, whatever library carries them.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

namespace postern::http {

using Headers = std::vector<std::pair<std::string, std::string>>;

/// The first value of a header, names compared without case; nullopt if there is none.
std::optional<std::string_view> FindHeader(const Headers& headers, std::string_view name);
/// All of them, in order.
std::vector<std::string_view> FindHeaders(const Headers& headers, std::string_view name);

struct Request {
  std::string method{};
  /// The request target exactly as it was received, query included.
  std::string target{};
  Headers headers{};
  std::string body{};
  /// Whether the request had a body at all (Content-Length > 0 or chunked).
  bool has_body = false;
  /// The client's address without its port.
  std::string remote_address{};
  /// Let go of with the request: for what makes large bodies to be counted.
  std::shared_ptr<void> held{};
};

/// What follows the first part of an answer's body, made piece by piece as it is sent: memory holds one piece of it,
/// however slowly the peer reads.
class BodySource {
 public:
  using Give = std::function<void(absl::StatusOr<std::string>)>;
  virtual ~BodySource() = default;
  /// Called on an I/O thread once all before has been written: must not block. `give` may be called from any thread, at
  /// most once: with the next piece; with an empty one at the end; with why not, and then the connection is cut, so
  /// that the peer cannot take what it has for the whole.
  virtual void Next(Give give) = 0;
};

struct Response {
  int status = 200;
  Headers headers{};
  /// application/json unless a Content-Type header is given.
  std::string body{};
  /// Let go of once the answer has been sent, or could not be: for what makes large answers to be counted.
  std::shared_ptr<void> held_until_sent{};
  /// nullptr: `body` is all.
  std::shared_ptr<BodySource> rest{};
};

/// The path of a request target (before '?'), still percent-encoded.
std::string_view PathOf(std::string_view target);
/// The first value of a query parameter, decoded; nullopt if there is none, or its escapes are broken.
std::optional<std::string> QueryParameter(std::string_view target, std::string_view name);
/// All of them, in order; those whose escapes are broken are left out.
std::vector<std::string> QueryParameters(std::string_view target, std::string_view name);
/// Percent-decodes; nullopt for a broken escape. '+' stays '+'.
std::optional<std::string> PercentDecode(std::string_view text);
/// Encodes everything but unreserved characters (RFC 3986).
std::string PercentEncode(std::string_view text);

}  // namespace postern::http
