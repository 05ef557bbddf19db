// GET /_matrix/federation/v1/version: what this server is.
#pragma once

#include "services/gateway/route.h"

namespace postern::gateway {

class VersionRoute : public PublicRoute {
 public:
  http::Response Handle(const http::Request& request) override;
};

}  // namespace postern::gateway
