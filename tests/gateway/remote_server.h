// Another homeserver, as the gateway's tests need one: keys, signed requests, signed leaves.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "http/http_message.h"
#include "matrix/json.h"
#include "matrix/room_rules.h"
#include "matrix/signature.h"

namespace postern::gateway {

inline constexpr std::string_view kOurName = "here.example";
inline constexpr std::string_view kRemoteName = "remote.example:8448";

/// A key whose seed is `letter`, 32 times.
matrix::SigningKey KeyOf(char letter, std::string_view key_id);

class RemoteServer {
 public:
  explicit RemoteServer(std::string_view name = kRemoteName, char seed = 'r', std::string_view key_id = "ed25519:r1");

  const std::string& name() const { return name_; }
  const matrix::SigningKey& key() const { return key_; }

  matrix::ServerKeys Keys(absl::Time valid_until) const;
  /// Its key document, signed.
  matrix::JsonObject KeyDocument(absl::Time valid_until) const;

  /// A request with its signature, as the listener hands it over.
  http::Request Request(std::string_view method, std::string_view target, const matrix::Json* content,
                        std::string_view destination = kOurName) const;
  /// Adds one more header, by `key`.
  void AddHeader(http::Request& request, const matrix::SigningKey& key, const matrix::Json* content,
                 std::string_view destination = kOurName) const;

  /// Hashes and signs an event of one of its users.
  matrix::JsonObject Complete(matrix::JsonObject event, const matrix::RoomRules& rules) const;

 private:
  std::string name_;
  matrix::SigningKey key_;
};

matrix::Json ParseOrDie(std::string_view text);
matrix::JsonObject ObjectOrDie(std::string_view text);

}  // namespace postern::gateway
