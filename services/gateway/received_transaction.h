// What another server sends in one go (server-server API, "Transactions"): its structure, before any of it is looked
// at.
#pragma once

#include <cstddef>
#include <map>
#include <string_view>

#include "absl/status/statusor.h"
#include "matrix/json.h"
#include "matrix/server_name.h"

namespace postern::gateway {

inline constexpr std::size_t kMostPdus = 50;
inline constexpr std::size_t kMostEdus = 100;

struct ReceivedTransaction {
  /// As they came: anything may be among them.
  matrix::JsonArray pdus;
  /// How many EDUs there are of each kind: the kinds of the specification, and "other".
  std::map<std::string_view, std::size_t> edus;
};

/// Takes the PDUs out of the body of a request of `origin`. Refuses: kBadStructure, naming the member, where `origin`,
/// `origin_server_ts` or `pdus` is missing or of the wrong kind, `origin` is another server, or there are more PDUs or
/// EDUs than a transaction may hold.
absl::StatusOr<ReceivedTransaction> ReadTransaction(matrix::JsonObject& content, const matrix::ServerName& origin);

}  // namespace postern::gateway
