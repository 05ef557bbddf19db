#include "http/http_wire.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/field.hpp>
#include <boost/beast/http/status.hpp>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace postern::http {
namespace {

namespace beast = boost::beast;
using beast::http::field;

std::string_view Trimmed(beast::string_view text) {
  std::string_view trimmed(text.data(), text.size());
  while (!trimmed.empty() && (trimmed.front() == ' ' || trimmed.front() == '\t')) trimmed.remove_prefix(1);
  while (!trimmed.empty() && (trimmed.back() == ' ' || trimmed.back() == '\t')) trimmed.remove_suffix(1);
  return trimmed;
}

bool IsNumber(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return '0' <= c && c <= '9'; });
}

// A header must stay one line, whatever was put into it.
void AppendLine(std::string_view name, std::string_view value, std::string& out) {
  out += name;
  out += ": ";
  std::ranges::replace_copy_if(
      value, std::back_inserter(out), [](char c) { return c == '\r' || c == '\n' || c == '\0'; }, ' ');
  out += "\r\n";
}

bool MayHaveBody(int status) { return status >= 200 && status != 204 && status != 304; }

}  // namespace

std::optional<std::string> FramingFault(const WireHead& head) {
  const auto lengths = head.count(field::content_length), encodings = head.count(field::transfer_encoding);
  const auto hosts = head.count(field::host);
  if (hosts > 1 || (hosts == 0 && head.version() >= 11)) return "expected one Host header";
  if (lengths > 1) return "expected one Content-Length header";
  if (lengths == 1 && !IsNumber(Trimmed(head[field::content_length]))) return "Content-Length is no number";
  if (encodings == 0) return std::nullopt;
  if (lengths > 0) return "Content-Length and Transfer-Encoding exclude each other";
  if (head.version() < 11) return "Transfer-Encoding is not for HTTP/1.0";
  const std::string_view encoding = Trimmed(head[field::transfer_encoding]);
  if (encodings > 1 || !beast::iequals({encoding.data(), encoding.size()}, "chunked")) {
    return "the only Transfer-Encoding served is chunked";
  }
  return std::nullopt;
}

bool ExpectsContinue(const WireHead& head) {
  return head.version() >= 11 && beast::iequals(head[field::expect], "100-continue");
}

Request ToRequest(const WireHead& head, bool has_body, const std::string& remote_address) {
  Request request;
  request.method = std::string(head.method_string());
  request.target = std::string(head.target());
  for (const auto& line : head) request.headers.emplace_back(line.name_string(), line.value());
  request.has_body = has_body;
  request.remote_address = remote_address;
  return request;
}

std::string FormatHead(const Response& response, bool keep_alive, bool is_http_1_0) {
  const auto reason = beast::http::obsolete_reason(static_cast<beast::http::status>(response.status));
  std::string head = fmt::format("HTTP/1.1 {} {}\r\n", response.status, std::string_view(reason.data(), reason.size()));
  for (const auto& [name, value] : response.headers) AppendLine(name, value, head);
  if (MayHaveBody(response.status)) {
    if (!FindHeader(response.headers, "Content-Type")) head += "Content-Type: application/json\r\n";
    if (response.rest == nullptr) {
      fmt::format_to(std::back_inserter(head), "Content-Length: {}\r\n", response.body.size());
    } else if (!is_http_1_0) {
      head += "Transfer-Encoding: chunked\r\n";
    }
  }
  head += absl::FormatTime("Date: %a, %d %b %Y %H:%M:%S GMT\r\n", absl::Now(), absl::UTCTimeZone());
  if (!keep_alive) head += "Connection: close\r\n";
  if (keep_alive && is_http_1_0) head += "Connection: keep-alive\r\n";
  head += "\r\n";
  return head;
}

std::string ChunkHead(std::size_t bytes) { return fmt::format("{:x}\r\n", bytes); }

}  // namespace postern::http
