// Another homeserver, played in this process: keys of its own behind an HTTPS endpoint of its own, signed requests and
// events.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "http/http_client.h"
#include "http/http_message.h"
#include "matrix/json.h"
#include "matrix/signature.h"
#include "posternctl/peer/key_endpoint.h"
#include "posternctl/peer/remote_server.h"
#include "posternctl/peer/server_identity.h"
#include "tests/flow/running_stack.h"

namespace postern::flow {

/// Thread-safe but for TakeOffline and Rotate. Calls throw where there is no HTTP answer at all.
class PlayedHomeserver {
 public:
  /// Named localhost:PORT, at a port of its own; talks to the first gateway of `stack`, which outlives it.
  /// `validity`: of its key document.
  explicit PlayedHomeserver(const RunningStack& stack, absl::Duration validity = absl::Hours(24));

  const std::string& name() const { return identity_->name(); }
  const matrix::SigningKey& key() const { return identity_->key(); }
  std::string User(std::string_view localpart) const;

  /// A template for the leave of one of its users; "origin" of the template is left out, as no server is to copy it.
  matrix::JsonObject Template(const std::string& room_id, const std::string& user_id) const;
  /// Hashes and signs an event.
  matrix::JsonObject Complete(matrix::JsonObject event, const matrix::RoomRules& rules) const;

  /// A signed request to the stack. `content` is nullptr for one without a body.
  http::Request Request(std::string_view method, std::string_view target, const matrix::Json* content) const;
  http::Request SendLeaveRequest(const std::string& room_id, const matrix::JsonObject& leave,
                                 const matrix::RoomRules& rules, peer::LeaveApi api = peer::LeaveApi::kV2) const;
  /// Adds an Authorization header over what `request` says now, under `origin` and by `key`.
  void Sign(http::Request& request, const std::string& origin, const matrix::SigningKey& key) const;
  void SignAgain(http::Request& request) const;

  /// To the first gateway, or to the one at `gateway_url`. TrySend: UNAVAILABLE where there is no answer.
  http::Response Send(const http::Request& request, const std::string& gateway_url = "") const;
  absl::StatusOr<http::Response> TrySend(const http::Request& request, const std::string& gateway_url = "") const;

  /// Signs with a new key from here on; the one before is an old key, good for events from before `expired`.
  void Rotate(absl::Time expired);
  const matrix::SigningKey& key_before() const { return identity_before_->key(); }
  /// How often its key document has been asked for since it was made, or since Rotate.
  int key_requests() const { return endpoint_->requests(); }
  /// From here on it answers get_missing_events with these, whatever it is asked for; before, 404.
  void SetMissingEvents(matrix::JsonArray events);
  /// What it was asked for so, last; null where it was not.
  matrix::Json LastAskedForMissing() const;

  /// From here on `answer` says what is answered to requests that are not about keys; nullopt: as before. Called on a
  /// thread of its own, one at a time. nullptr: nobody does.
  using AnswerOf = std::function<std::optional<http::Response>(const http::Request&)>;
  void AnswerBy(AnswerOf answer);

  /// From here on nobody can ask for its keys.
  void TakeOffline() { endpoint_.reset(); }

 private:
  std::optional<http::Response> Answer(const http::Request& request);

  mutable std::mutex mutex_;
  std::optional<std::string> missing_events_;
  AnswerOf answer_of_;
  matrix::Json last_asked_for_missing_;
  const peer::Destination to_;
  const absl::Duration validity_;
  std::unique_ptr<peer::ServerIdentity> identity_before_;
  std::unique_ptr<peer::ServerIdentity> identity_;
  std::unique_ptr<peer::KeyEndpoint> endpoint_;
  mutable http::HttpClient client_;
};

/// A new key under `key_id`, or under a random id.
matrix::SigningKey NewKey(std::string_view key_id = "");
matrix::JsonObject ObjectOf(std::string_view json);

/// The errcode of an error; "" if there is none.
std::string ErrcodeOf(const http::Response& response);

}  // namespace postern::flow
