#include "services/gateway/dns_resolver.h"

// Debian 13's c-ares would have other calls for some of these, which Debian 12's does not know.
#define CARES_NO_DEPRECATED

#include <ares.h>
#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/time.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <utility>

#include "absl/time/clock.h"

namespace postern::gateway {
namespace {

constexpr int kTries = 3;

absl::Status NotFoundOut(std::string_view name, std::string_view why) {
  return absl::UnavailableError(fmt::format("DNS did not answer for {}: {}", name, why));
}

/// Whether c-ares says that there is no such record, and not that it could not find out. A name that cannot be asked
/// for (too long, an empty label) has none.
bool SaysThereIsNone(int status) {
  return status == ARES_ENODATA || status == ARES_ENOTFOUND || status == ARES_EBADNAME;
}

/// One lookup at a time, on one thread.
class Channel {
 public:
  static std::unique_ptr<Channel> Open(const DnsOptions& options) {
    std::unique_ptr<Channel> channel(new Channel);
    ares_options settings{};
    settings.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES;
    settings.timeout = static_cast<int>(absl::ToInt64Milliseconds(options.first_wait));
    settings.tries = kTries;
    settings.ndomains = 0;
    settings.sock_state_cb = &Channel::OnSocketState;
    settings.sock_state_cb_data = channel.get();
    constexpr int kSet =
        ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_DOMAINS | ARES_OPT_SOCK_STATE_CB;
    if (ares_init_options(&channel->channel_, &settings, kSet) != ARES_SUCCESS) {
      channel->channel_ = nullptr;
      return nullptr;
    }
    const std::string servers = fmt::format("{}", fmt::join(options.servers, ","));
    if (!servers.empty() && ares_set_servers_ports_csv(channel->channel_, servers.c_str()) != ARES_SUCCESS) {
      return nullptr;
    }
    return channel;
  }
  ~Channel() {
    if (channel_ != nullptr) ares_destroy(channel_);
  }
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  ares_channeldata* get() { return channel_; }

  /// Until the lookup has called back, which it does at `deadline` at the latest.
  void Drive(const bool& has_called_back, absl::Time deadline) {
    while (!has_called_back) {
      const absl::Time now = absl::Now();
      if (now >= deadline) {
        ares_cancel(channel_);  // calls back
        return;
      }
      Await(deadline - now);
    }
  }

 private:
  Channel() = default;

  static void OnSocketState(void* context, ares_socket_t socket, int readable, int writable) {
    auto& wanted = static_cast<Channel*>(context)->wanted_;
    if (readable == 0 && writable == 0) {
      wanted.erase(socket);
    } else {
      wanted[socket] = static_cast<short>((readable != 0 ? POLLIN : 0) | (writable != 0 ? POLLOUT : 0));
    }
  }

  /// Waits for a socket, for c-ares' next try, or for `longest`, and lets c-ares go on.
  void Await(absl::Duration longest) {
    timeval most = absl::ToTimeval(longest);
    timeval until_next_try{};
    const timeval* wait = ares_timeout(channel_, &most, &until_next_try);
    const absl::Duration time = wait == nullptr ? longest : absl::DurationFromTimeval(*wait);
    std::vector<pollfd> sockets;
    for (const auto& [socket, events] : wanted_) sockets.push_back({socket, events, 0});
    const auto rounded_up = static_cast<int>(absl::ToInt64Milliseconds(absl::Ceil(time, absl::Milliseconds(1))));
    if (poll(sockets.data(), static_cast<nfds_t>(sockets.size()), rounded_up) < 0 && errno != EINTR) return;
    for (const pollfd& socket : sockets) {
      const bool readable = (socket.revents & (POLLIN | POLLERR | POLLHUP)) != 0;
      const bool writable = (socket.revents & (POLLOUT | POLLERR)) != 0;
      if (!wanted_.contains(socket.fd)) continue;  // closed on behalf of one before it
      ares_process_fd(channel_, readable ? socket.fd : ARES_SOCKET_BAD, writable ? socket.fd : ARES_SOCKET_BAD);
    }
    ares_process_fd(channel_, ARES_SOCKET_BAD, ARES_SOCKET_BAD);  // what is due by time alone
  }

  ares_channeldata* channel_ = nullptr;
  std::map<ares_socket_t, short> wanted_;
};

struct AddressAnswer {
  bool has_come = false;
  int status = ARES_SUCCESS;
  AddressRecords records{};
};

std::optional<std::string> ToLiteral(const sockaddr& address) {
  std::array<char, INET6_ADDRSTRLEN> text;
  const void* bytes = nullptr;
  if (address.sa_family == AF_INET) bytes = &reinterpret_cast<const sockaddr_in&>(address).sin_addr;
  if (address.sa_family == AF_INET6) bytes = &reinterpret_cast<const sockaddr_in6&>(address).sin6_addr;
  if (bytes == nullptr || inet_ntop(address.sa_family, bytes, text.data(), text.size()) == nullptr) return std::nullopt;
  return std::string(text.data());
}

void TakeAddresses(void* context, int status, int, ares_addrinfo* info) {
  auto& answer = *static_cast<AddressAnswer*>(context);
  answer.has_come = true;
  answer.status = status;
  absl::Duration ttl = absl::InfiniteDuration();
  for (const ares_addrinfo_node* node = info == nullptr ? nullptr : info->nodes; node != nullptr;
       node = node->ai_next) {
    auto literal = ToLiteral(*node->ai_addr);
    if (!literal) continue;
    answer.records.literals.push_back(std::move(*literal));
    ttl = std::min(ttl, absl::Seconds(node->ai_ttl));
  }
  answer.records.ttl = ttl;
  if (info != nullptr) ares_freeaddrinfo(info);
}

struct ServiceAnswer {
  bool has_come = false;
  int status = ARES_SUCCESS;
  std::vector<SrvRecord> records{};
};

void TakeServices(void* context, int status, int, unsigned char* bytes, int size) {
  auto& answer = *static_cast<ServiceAnswer*>(context);
  answer.has_come = true;
  answer.status = status;
  if (status != ARES_SUCCESS) return;
  ares_srv_reply* first = nullptr;
  answer.status = ares_parse_srv_reply(bytes, size, &first);
  for (const ares_srv_reply* record = first; record != nullptr; record = record->next) {
    answer.records.push_back({record->priority, record->weight, record->port, record->host});
  }
  if (first != nullptr) ares_free_data(first);
}

absl::Time SoonerOf(absl::Time deadline, const DnsOptions& options) {
  return std::min(deadline, absl::Now() + options.longest);
}

}  // namespace

DnsResolver::DnsResolver(DnsOptions options) : options_(std::move(options)) {
  static std::once_flag once;
  std::call_once(once, [] { ares_library_init(ARES_LIB_INIT_ALL); });
}

absl::StatusOr<AddressRecords> DnsResolver::FindAddresses(const std::string& host, absl::Time deadline) const {
  AddressAnswer answer;  // outlives the channel, which may still call back when it ends
  const auto channel = Channel::Open(options_);
  if (channel == nullptr) return NotFoundOut(host, "c-ares cannot start");
  ares_addrinfo_hints hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  ares_getaddrinfo(channel->get(), host.c_str(), nullptr, &hints, TakeAddresses, &answer);
  channel->Drive(answer.has_come, SoonerOf(deadline, options_));
  if (answer.status == ARES_SUCCESS) return std::move(answer.records);
  if (SaysThereIsNone(answer.status)) return AddressRecords{};
  return NotFoundOut(host, ares_strerror(answer.status));
}

absl::StatusOr<std::vector<SrvRecord>> DnsResolver::FindServices(const std::string& name, absl::Time deadline) const {
  ServiceAnswer answer;
  const auto channel = Channel::Open(options_);
  if (channel == nullptr) return NotFoundOut(name, "c-ares cannot start");
  ares_query(channel->get(), name.c_str(), ns_c_in, ns_t_srv, TakeServices, &answer);
  channel->Drive(answer.has_come, SoonerOf(deadline, options_));
  if (answer.status == ARES_SUCCESS) return std::move(answer.records);
  if (SaysThereIsNone(answer.status)) return std::vector<SrvRecord>{};
  return NotFoundOut(name, ares_strerror(answer.status));
}

}  // namespace postern::gateway
