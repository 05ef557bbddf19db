// GET /_matrix/federation/v1/version: what this server is.
#pragma once

#include <memory>
#include <optional>

#include "services/gateway/route.h"

namespace postern::gateway {

class VersionRoute : public PublicRoute {
 public:
  void Serve(std::shared_ptr<Exchange> exchange, std::optional<matrix::Json> content) override;
};

}  // namespace postern::gateway
