// GET /_matrix/federation/v1/query/directory and query/profile (server-server API, "Querying for information").
#pragma once

#include "services/gateway/route.h"
#include "services/gateway/store_client.h"

namespace postern::gateway {

/// Answers the room that an alias of this server points at, and servers that are in it.
class DirectoryRoute : public PeerRoute {
 public:
  explicit DirectoryRoute(StoreClient& store) : store_(store) {}

  /// Refuses: kBadQuery without an alias; kNotFound.
  absl::StatusOr<http::Response> Handle(AuthenticRequest request) override;

 private:
  StoreClient& store_;
};

/// Answers what the rooms know of a user of this server: `displayname` and `avatar_url`, or the one that is asked for;
/// what is not set is left out.
class ProfileRoute : public PeerRoute {
 public:
  explicit ProfileRoute(StoreClient& store) : store_(store) {}

  /// Refuses: kBadQuery without a user; kNotFound, for another field too.
  absl::StatusOr<http::Response> Handle(AuthenticRequest request) override;

 private:
  StoreClient& store_;
};

}  // namespace postern::gateway
