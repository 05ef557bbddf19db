// Requests and answers as the routes see them, whatever library carries them.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

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

struct Response {
  int status = 200;
  Headers headers{};
  /// application/json unless a Content-Type header is given.
  std::string body{};
  /// Let go of once the answer has been sent, or could not be: for what makes large answers to be counted.
  std::shared_ptr<void> held_until_sent{};
};

/// The path of a request target (before '?'), still percent-encoded.
std::string_view PathOf(std::string_view target);
/// The first value of a query parameter, decoded; nullopt if there is none, or its escapes are broken.
std::optional<std::string> QueryParameter(std::string_view target, std::string_view name);
/// All values of a query parameter, decoded, in their order; nullopt if the escapes of one are broken.
std::optional<std::vector<std::string>> QueryParameters(std::string_view target, std::string_view name);
/// Percent-decodes; nullopt for a broken escape. '+' stays '+'.
std::optional<std::string> PercentDecode(std::string_view text);
/// Encodes everything but unreserved characters (RFC 3986).
std::string PercentEncode(std::string_view text);

}  // namespace postern::http
