// The HTTPS endpoint at which a played homeserver publishes its keys and signs invites of its users.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "http/http_message.h"
#include "posternctl/peer/server_identity.h"

namespace postern::peer {

/// Serves GET /_matrix/key/v2/server, and PUT /_matrix/federation/v2/invite/{roomId}/{eventId}, which it signs for
/// whoever asks: it plays. Under a certificate of its own signing; anything else is 404 M_UNRECOGNIZED, unless it is
/// served `beside`.
class KeyEndpoint {
 public:
  /// What is answered to other requests; nullopt: 404. Called on the endpoint's thread.
  using Beside = std::function<std::optional<http::Response>(const http::Request&)>;

  /// `listen` is an address with a port, "127.0.0.1:0". `identity` outlives the endpoint. Refuses: kInvalidArgument,
  /// naming the address that could not be had.
  static absl::StatusOr<std::unique_ptr<KeyEndpoint>> Start(const ServerIdentity& identity, const std::string& listen,
                                                            Beside beside = nullptr);
  virtual ~KeyEndpoint() = default;

  virtual int port() const = 0;
  /// How many times the key document was asked for.
  virtual int requests() const = 0;
};

/// Where a server of this name is looked for, if that is this very machine: "127.0.0.1:8001" for "localhost:8001" and
/// "127.0.0.1:8001", "[::1]:8001" for that; "" for any other name and for one without a port.
std::string LoopbackAddressOf(const matrix::ServerName& name);

}  // namespace postern::peer
