// This server's own keys, for tests.
#pragma once

#include <string>
#include <vector>

#include "matrix/base64.h"
#include "services/gateway/event_signer.h"
#include "tests/gateway/remote_server.h"

namespace postern::gateway {

/// Two keys: ed25519:h1, which signs, and ed25519:h2.
inline EventSigner TestSigner(const std::vector<std::string>& retired = {}) {
  const auto line = [](char letter, std::string_view version) {
    return "ed25519 " + std::string(version) + " " + matrix::EncodeBase64(std::string(matrix::kSeedBytes, letter)) +
           "\n";
  };
  return EventSigner(*matrix::ServerName::Parse(kOurName),
                     std::move(*SigningKeys::Parse(line('h', "h1") + line('i', "h2"), retired)));
}

}  // namespace postern::gateway
