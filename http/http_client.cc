#include "http/http_client.h"

#include <curl/curl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <mutex>
#include <utility>
#include <vector>

#include "http/address_policy.h"
#include "http/http_url.h"
#include "matrix/refusal.h"

namespace postern::http {
namespace {

constexpr std::size_t kMostIdleHandles = 16;
constexpr std::size_t kHeaderLimitBytes = 64 * 1024;

struct EasyCleanup {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};
using Easy = std::unique_ptr<CURL, EasyCleanup>;

struct ListCleanup {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using List = std::unique_ptr<curl_slist, ListCleanup>;

// One request under way, as libcurl's callbacks see it.
struct Exchange {
  const AddressPolicy& policy;
  std::size_t limit_bytes;
  Response response;
  std::size_t header_bytes = 0;
  bool too_large = false;
  bool address_refused = false;
};

curl_socket_t OpenSocket(void* context, curlsocktype, curl_sockaddr* address) {
  auto& exchange = *static_cast<Exchange*>(context);
  if (!exchange.policy.Allows(address->addr)) {
    exchange.address_refused = true;
    return CURL_SOCKET_BAD;
  }
  return ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

std::size_t TakeBody(const char* data, std::size_t, std::size_t size, void* context) {
  auto& exchange = *static_cast<Exchange*>(context);
  exchange.too_large = exchange.response.body.size() + size > exchange.limit_bytes;
  if (exchange.too_large) return 0;
  exchange.response.body.append(data, size);
  return size;
}

std::string_view Trimmed(std::string_view text) {
  const auto begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

std::size_t TakeHeader(const char* data, std::size_t, std::size_t size, void* context) {
  auto& exchange = *static_cast<Exchange*>(context);
  exchange.header_bytes += size;
  exchange.too_large = exchange.header_bytes > kHeaderLimitBytes;
  if (exchange.too_large) return 0;
  const std::string_view line(data, size);
  const auto colon = line.find(':');
  if (line.starts_with("HTTP/")) {
    exchange.response.headers.clear();  // those before were of a 100 Continue
  } else if (colon != std::string_view::npos) {
    exchange.response.headers.emplace_back(Trimmed(line.substr(0, colon)), Trimmed(line.substr(colon + 1)));
  }
  return size;
}

void SetTransport(CURL* easy, const ClientOptions& options, Exchange& exchange) {
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_PROXY, "");  // a proxy would connect where we must not
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
  curl_easy_setopt(easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
  curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, OpenSocket);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, &exchange);
  curl_easy_setopt(easy, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2);
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, options.insecure_tls ? 0L : 1L);
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, options.insecure_tls ? 0L : 2L);
  if (!options.ca_file.empty())
    curl_easy_setopt(easy, CURLOPT_CAINFO, options.ca_file.c_str());  // CAPATH stays the system's
}

long Milliseconds(absl::Duration time) {
  return static_cast<long>(std::max<std::int64_t>(1, absl::ToInt64Milliseconds(time)));
}

void SetRequest(CURL* easy, const ClientRequest& request, const curl_slist* headers, Exchange& exchange) {
  curl_easy_setopt(easy, CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, Milliseconds(request.timeout));
  const bool is_split = request.connect_timeout > absl::ZeroDuration();
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, Milliseconds(is_split ? request.connect_timeout : request.timeout));
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
  if (!request.body.empty()) {
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request.body.data());
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
  }
  if (request.method == "HEAD") curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
  curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, TakeBody);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, &exchange);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, TakeHeader);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, &exchange);
}

List ToList(const ClientRequest& request) {
  List list(curl_slist_append(nullptr, "Expect:"));
  const auto append = [&list](const std::string& line) { list.reset(curl_slist_append(list.release(), line.c_str())); };
  for (const auto& [name, value] : request.headers)
    append(value.empty() ? name + ";" : fmt::format("{}: {}", name, value));
  if (!request.body.empty() && !FindHeader(request.headers, "Content-Type")) append("Content-Type: application/json");
  return list;
}

/// What CURLOPT_RESOLVE takes: for any name at the URL's port, these addresses. With the name itself there libcurl
/// could look one up that it spells otherwise. An entry replaces that of an earlier request with the same handle.
absl::StatusOr<List> ToResolved(const ClientRequest& request) {
  if (request.addresses.empty()) return List();
  const auto url = ParseUrl(request.url);
  if (!url.ok()) return url.status();
  return List(curl_slist_append(nullptr, fmt::format("*:{}:{}", url->port, fmt::join(request.addresses, ",")).c_str()));
}

bool HasLineBreak(const ClientRequest& request) {
  const auto breaks = [](const std::string& text) {
    return text.find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos;
  };
  return breaks(request.method) || breaks(request.url) || std::ranges::any_of(request.headers, [&](const auto& header) {
           return breaks(header.first) || breaks(header.second);
         });
}

absl::Status NoAnswer(std::string_view why) {
  return absl::UnavailableError(absl::string_view(why.data(), why.size()));
}

}  // namespace

struct HttpClient::Impl {
  const ClientOptions options;
  const AddressPolicy policy{options.allow_private_networks, options.allowed_networks};
  std::mutex mutex;
  // With the connections that they keep. Handles that were told addresses remember them: they are not for requests
  // whose host is to be looked up.
  std::vector<Easy> idle;
  std::vector<Easy> idle_with_addresses;

  std::vector<Easy>& IdleFor(const ClientRequest& request) {
    return request.addresses.empty() ? idle : idle_with_addresses;
  }

  Easy Take(const ClientRequest& request) {
    {
      const std::lock_guard lock(mutex);
      if (std::vector<Easy>& handles = IdleFor(request); !handles.empty()) {
        Easy easy = std::move(handles.back());
        handles.pop_back();
        return easy;
      }
    }
    return Easy(curl_easy_init());
  }

  void GiveBack(const ClientRequest& request, Easy easy) {
    curl_easy_reset(easy.get());  // options only: its connections stay
    const std::lock_guard lock(mutex);
    if (std::vector<Easy>& handles = IdleFor(request); handles.size() < kMostIdleHandles) {
      handles.push_back(std::move(easy));
    }
  }
};

HttpClient::HttpClient(ClientOptions options) {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
  impl_.reset(new Impl{.options = std::move(options), .mutex = {}, .idle = {}, .idle_with_addresses = {}});
}

HttpClient::~HttpClient() = default;

absl::StatusOr<Response> HttpClient::Send(const ClientRequest& request) {
  if (HasLineBreak(request)) return NoAnswer("a line break in the request");
  const std::size_t limit =
      request.response_limit_bytes > 0 ? request.response_limit_bytes : impl_->options.response_limit_bytes;
  Exchange exchange{impl_->policy, limit, {}, 0, false, false};
  const List headers = ToList(request);
  const auto resolved = ToResolved(request);
  if (!resolved.ok()) return NoAnswer(matrix::DetailOf(resolved.status()));
  Easy easy = impl_->Take(request);
  if (!easy) return NoAnswer("libcurl cannot start");
  SetTransport(easy.get(), impl_->options, exchange);
  SetRequest(easy.get(), request, headers.get(), exchange);
  curl_easy_setopt(easy.get(), CURLOPT_RESOLVE, resolved->get());
  const CURLcode outcome = curl_easy_perform(easy.get());
  long status = 0;
  curl_easy_getinfo(easy.get(), CURLINFO_RESPONSE_CODE, &status);
  impl_->GiveBack(request, std::move(easy));
  if (exchange.address_refused && outcome != CURLE_OK) return NoAnswer("the address is not a public one");
  if (exchange.too_large) return NoAnswer("the answer is too large");
  if (outcome != CURLE_OK) return NoAnswer(curl_easy_strerror(outcome));
  exchange.response.status = static_cast<int>(status);
  return std::move(exchange.response);
}

}  // namespace postern::http
