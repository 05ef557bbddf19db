// Where the key ring gets keys that it does not have (pitfall K03).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "matrix/server_name.h"
#include "services/gateway/clock.h"
#include "services/gateway/federation_client.h"
#include "services/gateway/key_document.h"

namespace postern::gateway {

/// Thread-safe.
class KeySource {
 public:
  virtual ~KeySource() = default;
  /// What `server` publishes; over its time only where nothing better could be had. Blocks for at most `timeout`.
  /// Refuses: kOriginKeyUnavailable.
  virtual absl::StatusOr<FetchedKeys> FetchKeys(const matrix::ServerName& server, absl::Duration timeout) = 0;
};

/// The server itself. What it publishes is refused where its time is over.
class DirectKeys : public KeySource {
 public:
  DirectKeys(FederationClient& client, Clock clock);
  absl::StatusOr<FetchedKeys> FetchKeys(const matrix::ServerName& server, absl::Duration timeout) override;

 private:
  FederationClient& client_;
  const Clock clock_;
};

/// A server that is asked for the keys of others, and whose own signature on its answers is known beforehand.
struct Notary {
  matrix::ServerName name;
  std::string key_id;      // "ed25519:auto"
  std::string public_key;  // 32 bytes

  /// Reads "matrix.example ed25519:auto <base64 public key>". Refuses: kInvalidArgument.
  static absl::StatusOr<Notary> Parse(const std::string& text);
};

/// A notary (server-server API, "Querying Keys Through Another Server"). Its answer needs its own signature and the
/// server's (pitfall K04), and may be over its time.
class NotaryKeys : public KeySource {
 public:
  NotaryKeys(FederationClient& client, Notary notary, Clock clock);
  absl::StatusOr<FetchedKeys> FetchKeys(const matrix::ServerName& server, absl::Duration timeout) override;

 private:
  FederationClient& client_;
  const Notary notary_;
  const Clock clock_;
};

/// Several, one after the other until one has keys whose time is not over; each gets its share of the time that is
/// left, so that one that is silent does not cost the others theirs.
class KeySources : public KeySource {
 public:
  KeySources(std::vector<std::unique_ptr<KeySource>> in_order, Clock clock);
  absl::StatusOr<FetchedKeys> FetchKeys(const matrix::ServerName& server, absl::Duration timeout) override;

 private:
  const std::vector<std::unique_ptr<KeySource>> in_order_;
  const Clock clock_;
};

}  // namespace postern::gateway
