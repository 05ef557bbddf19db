// A handler that does what the request target tells it to, and remembers what it was asked.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <vector>

#include "http/http_listener.h"

namespace postern::http {

/// /unknown… is answered 404 by the head; /drop is never answered; /throw throws; /hold waits for Release; a body for
/// /big or /hold-big may have 1,000,000 bytes, and the second waits for Release too; /large answers with 64 MiB;
/// /pieces answers "one two three" in three pieces, /pieces/empty nothing in none; /broken breaks off after one, /lost
/// never gives the second; /endless gives 1 MiB after the other and counts them; /inject tries to write a header of its
/// own into a value; anything else echoes "METHOD TARGET BODY".
class ToldHandler final : public RequestHandler {
 public:
  std::optional<Response> OnHead(const Request& head) override;
  std::size_t BodyLimitBytes(const Request& head) override;
  void OnRequest(Request request, Respond respond) override;
  Response OnRefused(const absl::Status& why) override;

  /// Waits for a request to /hold, and answers it.
  void Release();
  void AwaitHeld();
  /// How many pieces of /endless have been asked for.
  int pieces() const { return pieces_; }
  /// All that reached OnRequest, in order.
  std::vector<Request> seen() const;

 private:
  std::atomic<int> pieces_ = 0;
  mutable std::mutex mutex_;
  std::condition_variable held_;
  std::vector<Respond> waiting_;
  std::vector<std::shared_ptr<void>> holding_;
  std::vector<Request> seen_;
};

}  // namespace postern::http
