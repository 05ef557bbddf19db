#include "services/gateway/peer_addresses.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "matrix/server_name.h"

namespace postern::gateway {
namespace {

constexpr std::size_t kMostAddresses = 8;
constexpr std::size_t kMaxHostBytes = 253;

bool IsDigit(char c) { return '0' <= c && c <= '9'; }

bool IsNameCharacter(char c) {
  return IsDigit(c) || ('a' <= c && c <= 'z') || ('A' <= c && c <= 'Z') || c == '-' || c == '.' || c == '_';
}

bool IsIpLiteral(std::string_view host) {
  const bool is_v6 = host.find(':') != std::string_view::npos;
  const auto name = matrix::ServerName::Parse(is_v6 ? fmt::format("[{}]", host) : std::string(host));
  return name.ok() && !name->port() && name->IsIpLiteral();
}

}  // namespace

bool IsHostName(std::string_view host) {
  if (host.ends_with('.')) host.remove_suffix(1);
  if (host.empty() || host.size() > kMaxHostBytes || !std::ranges::all_of(host, IsNameCharacter)) return false;
  const std::string_view last = host.substr(host.rfind('.') + 1);  // the whole where there is no dot
  const bool is_hexadecimal = last.starts_with("0x") || last.starts_with("0X");
  return !last.empty() && !is_hexadecimal && !std::ranges::all_of(last, IsDigit);
}

PeerAddresses::PeerAddresses(const DnsResolver& dns, http::AddressPolicy policy)
    : dns_(dns), policy_(std::move(policy)) {}

absl::StatusOr<PeerHost> PeerAddresses::Find(std::string_view host, absl::Time deadline) const {
  PeerHost found{{}, absl::InfiniteDuration()};
  if (IsIpLiteral(host)) {
    found.literals.emplace_back(host);
  } else {
    if (!IsHostName(host)) return absl::NotFoundError(fmt::format("'{}' is no host name", host));
    auto records = dns_.FindAddresses(std::string(host), deadline);
    if (!records.ok()) return records.status();
    if (records->literals.empty()) return absl::NotFoundError(fmt::format("{} has no address", host));
    found = {std::move(records->literals), records->ttl};
  }
  std::erase_if(found.literals, [this](const std::string& literal) { return !policy_.Allows(literal); });
  if (found.literals.empty()) {
    return absl::PermissionDeniedError(fmt::format("no address of {} is a public one", host));
  }
  if (found.literals.size() > kMostAddresses) found.literals.resize(kMostAddresses);
  return found;
}

}  // namespace postern::gateway
