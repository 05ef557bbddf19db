// What tests of the played homeserver share: an identity made of a fixed seed.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "posternctl/peer/server_identity.h"

namespace postern::peer {

inline ServerIdentity IdentityOf(const std::string& name) {
  std::vector<matrix::SigningKey> keys;
  keys.push_back(*matrix::SigningKey::FromSeed("ed25519:p_1", std::string(32, 'p')));
  return {*matrix::ServerName::Parse(name), std::move(keys)};
}

}  // namespace postern::peer
