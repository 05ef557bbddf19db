#include "services/gateway/http_router.h"

#include <thread>
#include <utility>

#include "absl/time/clock.h"
#include "matrix/identifiers.h"
#include "matrix/refusal.h"
#include "services/gateway/refusal_response.h"
#include "telemetry/log.h"

namespace postern::gateway {
namespace {

using matrix::Json;
using matrix::Reason;
using matrix::Refuse;

constexpr std::string_view kVariable = "{}";

std::vector<std::string_view> Segments(std::string_view path) {
  std::vector<std::string_view> segments;
  for (std::size_t begin = 0;;) {
    const std::size_t end = path.find('/', begin);
    segments.push_back(path.substr(begin, end - begin));
    if (end == std::string_view::npos) return segments;
    begin = end + 1;
  }
}

/// What `path` holds at the variable places of `pattern`, or nullopt if it is another path. An encoded '/' stays in its
/// segment.
std::optional<std::vector<std::string>> ArgumentsOf(std::string_view pattern,
                                                    const std::vector<std::string_view>& segments) {
  const auto wanted = Segments(pattern);
  if (wanted.size() != segments.size()) return std::nullopt;
  std::vector<std::string> arguments;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    auto segment = http::PercentDecode(segments[i]);
    if (!segment) return std::nullopt;
    if (wanted[i] == kVariable) {
      if (segment->empty()) return std::nullopt;
      arguments.push_back(std::move(*segment));
    } else if (*segment != wanted[i]) {
      return std::nullopt;
    }
  }
  return arguments;
}

/// For the log: the room and the event, where the path names them.
void NotePlace(Exchange& exchange) {
  for (const std::string& argument : exchange.path_arguments()) {
    if (matrix::IsEventId(argument)) exchange.notes().event_id = argument;
    if (argument.starts_with('!')) exchange.notes().room_id = argument;
  }
}

/// Row 3. A GET has no content (pitfall X04).
absl::StatusOr<std::optional<Json>> ContentOf(const http::Request& request) {
  if (request.method != "PUT" && request.method != "POST") return std::nullopt;
  if (!request.has_body || request.body.empty()) return Refuse(Reason::kNotJson, "the request has no body");
  auto content = matrix::ParseJson(request.body);
  if (!content.ok()) return content.status();
  if (content->AsObject() == nullptr) return Refuse(Reason::kBadJson, "the body is no JSON object");
  return std::optional<Json>(std::move(*content));
}

}  // namespace

HttpRouter::HttpRouter(std::vector<RouteEntry> routes, PeerAuth& peer_auth, AddressLimiter* addresses,
                       OriginLimiter* origins, rpc::WorkerPool& workers, Clock clock, telemetry::Metrics& metrics,
                       RouterOptions options)
    : routes_(std::move(routes)),
      peer_auth_(peer_auth),
      addresses_(addresses),
      origins_(origins),
      workers_(workers),
      clock_(std::move(clock)),
      metrics_(metrics),
      options_(std::move(options)) {}

HttpRouter::Match HttpRouter::Find(std::string_view method, std::string_view target) const {
  const auto segments = Segments(http::PathOf(target));
  Match match;
  for (const RouteEntry& route : routes_) {
    auto arguments = ArgumentsOf(route.path, segments);
    if (!arguments) continue;
    match.path_is_known = true;
    if (route.method != method) continue;
    match.route = &route;
    match.arguments = std::move(*arguments);
    break;
  }
  return match;
}

std::string HttpRouter::ClientAddress(const http::Request& request) const {
  if (options_.client_address_header.empty()) return request.remote_address;
  const auto headers = http::FindHeaders(request.headers, options_.client_address_header);
  if (headers.empty()) return request.remote_address;
  std::string_view last = headers.back();
  if (const auto comma = last.rfind(','); comma != std::string_view::npos) last.remove_prefix(comma + 1);
  while (last.starts_with(' ')) last.remove_prefix(1);
  while (last.ends_with(' ')) last.remove_suffix(1);
  return std::string(last);
}

std::optional<http::Response> HttpRouter::OnHead(const http::Request& head) {
  const Match match = Find(head.method, head.target);
  absl::Status refusal;
  if (!match.path_is_known) {
    refusal = Refuse(Reason::kUnknownPath, "this path is not served here");
  } else if (match.route == nullptr) {
    refusal = Refuse(Reason::kUnknownMethod, "this path is not served by this method");
  } else if (addresses_ != nullptr) {
    refusal = addresses_->Admit(ClientAddress(head), clock_());
  }
  if (refusal.ok()) return std::nullopt;
  std::optional<http::Response> response;
  Exchange exchange(
      {.method = head.method,
       .target = head.target,
       .headers = head.headers,
       .body = {},
       .has_body = false,
       .remote_address = ClientAddress(head)},
      match.route == nullptr ? "unknown" : match.route->name, {}, options_.request_timeout,
      [&](http::Response answer) { response = std::move(answer); }, metrics_);
  exchange.Refuse(refusal);
  return response;
}

std::size_t HttpRouter::BodyLimitBytes(const http::Request& head) {
  const Match match = Find(head.method, head.target);
  return match.route == nullptr ? 0 : match.route->body_limit_bytes;
}

void HttpRouter::OnRequest(http::Request request, http::Respond respond) {
  Match match = Find(request.method, request.target);
  request.remote_address = ClientAddress(request);
  const std::string_view name = match.route == nullptr ? "unknown" : match.route->name;
  ++*under_way_;
  auto answer = [respond = std::move(respond), counted = std::shared_ptr<void>(nullptr, [count = under_way_](void*) {
                                                 --*count;
                                               })](http::Response response) { respond(std::move(response)); };
  auto exchange = std::make_shared<Exchange>(std::move(request), name, std::move(match.arguments),
                                             options_.request_timeout, std::move(answer), metrics_);
  if (match.route == nullptr) return exchange->Refuse(Refuse(Reason::kUnknownPath, "this path is not served here"));
  const RouteEntry& route = *match.route;
  if (workers_.longest_wait() > options_.longest_wait ||
      !workers_.Post([this, &route, exchange] { Serve(route, exchange); })) {
    exchange->Refuse(Refuse(Reason::kOverloaded, "the server is too busy"));
  }
}

http::Response HttpRouter::OnRefused(const absl::Status& why) {
  http::Response response = RefusalResponse(why);
  const std::string_view reason = matrix::RefusalOf(matrix::ReasonOf(why)).name;
  metrics_.Count("postern_gateway_requests_total", {{"route", "unread"}, {"status", std::to_string(response.status)}});
  metrics_.Count("postern_gateway_refusals_total", {{"route", "unread"}, {"reason", reason}});
  telemetry::Log(
      telemetry::Level::kInfo, "request",
      {{"route", "unread"}, {"reason", reason}, {"detail", matrix::DetailOf(why)}, {"status", response.status}});
  return response;
}

void HttpRouter::Serve(const RouteEntry& route, const std::shared_ptr<Exchange>& exchange) {
  if (absl::Now() >= exchange->call().deadline) {  // it has waited in the queue for too long
    return exchange->Refuse(Refuse(Reason::kOverloaded, "the server is too busy"));
  }
  if (route.peer != nullptr) NotePlace(*exchange);
  auto content = ContentOf(exchange->request());  // row 3
  if (!content.ok()) return exchange->Refuse(content.status());
  if (route.open != nullptr) return route.open->Serve(exchange, std::move(*content));
  ServePeer(*route.peer, exchange, std::move(*content));
}

void HttpRouter::ServePeer(PeerRoute& route, const std::shared_ptr<Exchange>& exchange, std::optional<Json> content) {
  const auto asking = std::this_thread::get_id();
  peer_auth_.Authenticate(  // row 4
      exchange, std::move(content), [this, &route, exchange, asking](absl::StatusOr<AuthenticRequest> request) {
        if (!request.ok()) return exchange->Refuse(request.status());
        options_.heard_from(request->origin().text());
        if (std::this_thread::get_id() == asking) return AwaitTurn(route, std::move(*request));
        auto shared = std::make_shared<AuthenticRequest>(std::move(*request));
        if (!workers_.Post([this, &route, shared] { AwaitTurn(route, std::move(*shared)); })) {
          exchange->Refuse(Refuse(Reason::kOverloaded, "the server is too busy"));
        }
      });
}

void HttpRouter::AwaitTurn(PeerRoute& route, AuthenticRequest request) {
  Exchange& exchange = request.exchange();
  const auto answer = [](PeerRoute& to, AuthenticRequest from) {
    // The exchange is held by `from` until here, and by whoever asked.
    const std::shared_ptr<Exchange> held = from.shared_exchange();
    auto response = to.Handle(std::move(from));
    if (response.ok()) return held->Answer(std::move(*response));
    held->Refuse(response.status());
  };
  if (origins_ == nullptr) return answer(route, std::move(request));
  const std::string origin = request.origin().text();
  auto shared = std::make_shared<AuthenticRequest>(std::move(request));
  auto begin = [this, &route, shared, answer](std::shared_ptr<OriginLimiter::Turn> turn, bool later) {
    if (!later) return answer(route, std::move(*shared));
    if (!workers_.Post([&route, shared, answer, turn] { answer(route, std::move(*shared)); })) {
      shared->exchange().Refuse(Refuse(Reason::kOverloaded, "the server is too busy"));
    }
  };
  if (absl::Status status = origins_->Enter(origin, std::move(begin)); !status.ok()) exchange.Refuse(status);  // row 5
}

}  // namespace postern::gateway
