#include "http/http_url.h"

#include <curl/curl.h>

#include <charconv>
#include <initializer_list>
#include <memory>

#include "matrix/refusal.h"

namespace postern::http {
namespace {

constexpr std::size_t kMaxUrlBytes = 4096;

struct HandleCleanup {
  void operator()(CURLU* handle) const { curl_url_cleanup(handle); }
};
using Handle = std::unique_ptr<CURLU, HandleCleanup>;

absl::Status NoUrl() { return matrix::Refuse(matrix::Reason::kInvalidArgument, "no URL that could be followed"); }

/// False if that part is missing.
bool Read(CURLU* handle, CURLUPart part, unsigned flags, std::string& out) {
  char* text = nullptr;
  if (curl_url_get(handle, part, &text, flags) != CURLUE_OK) return false;
  out = text;
  curl_free(text);
  return true;
}

bool WithoutBrackets(std::string& host) {
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  return !host.empty();
}

/// Sets each text in turn: what is relative is resolved against the one before.
absl::StatusOr<Url> ReadInTurn(std::initializer_list<std::string_view> texts) {
  const Handle handle(curl_url());
  if (!handle) return NoUrl();
  for (const std::string_view text : texts) {
    if (text.size() > kMaxUrlBytes || text.find('\0') != std::string_view::npos) return NoUrl();
    const std::string terminated(text);
    if (curl_url_set(handle.get(), CURLUPART_URL, terminated.c_str(), CURLU_DISALLOW_USER) != CURLUE_OK) return NoUrl();
  }
  Url url{};
  std::string port;
  const bool complete = curl_url_set(handle.get(), CURLUPART_FRAGMENT, nullptr, 0) == CURLUE_OK &&
                        Read(handle.get(), CURLUPART_URL, 0, url.text) &&
                        Read(handle.get(), CURLUPART_SCHEME, 0, url.scheme) &&
                        Read(handle.get(), CURLUPART_HOST, 0, url.host) && WithoutBrackets(url.host) &&
                        Read(handle.get(), CURLUPART_PORT, CURLU_DEFAULT_PORT, port);
  if (!complete) return NoUrl();
  const auto [end, problem] = std::from_chars(port.data(), port.data() + port.size(), url.port);
  if (problem != std::errc() || end != port.data() + port.size()) return NoUrl();
  return url;
}

}  // namespace

absl::StatusOr<Url> ParseUrl(std::string_view text) { return ReadInTurn({text}); }

absl::StatusOr<Url> FollowReference(const Url& base, std::string_view reference) {
  return ReadInTurn({base.text, reference});
}

}  // namespace postern::http
