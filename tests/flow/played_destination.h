// Another homeserver that is told things: takes transactions over TLS in this process, and behaves as badly as a test
// wants.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "http/http_message.h"
#include "matrix/json.h"

struct ssl_ctx_st;
struct ssl_st;

namespace postern::flow {

/// A transaction as it came.
struct ToldTransaction {
  http::Request request;
  absl::Time at;

  /// Of its target.
  std::string id() const;
  /// Its PDUs. Throws where it is no transaction.
  matrix::JsonArray pdus() const;
};

enum class Manners {
  kAnswers,       // as `answer` says
  kSilent,        // takes connections and never says a word, not even of TLS
  kResets,        // breaks the connection off in the middle of the answer
  kUnbelievable,  // with a certificate that nobody vouches for
};

/// Thread-safe. Every connection is closed after one request.
class PlayedDestination {
 public:
  /// Named 127.0.0.1:PORT. Connections are refused until Listen.
  PlayedDestination();
  ~PlayedDestination();
  PlayedDestination(const PlayedDestination&) = delete;
  PlayedDestination& operator=(const PlayedDestination&) = delete;

  const std::string& name() const { return name_; }
  /// PEM; its own authority.
  const std::string& certificate() const { return certificate_; }

  void Listen();
  /// From the next connection on. The answer is 200 {"pdus":{}} unless given.
  void Behave(Manners manners, http::Response answer = Taken());
  static http::Response Taken() { return {.status = 200, .headers = {}, .body = R"({"pdus":{}})"}; }
  /// Requests are taken down, and answered once Release is called.
  void Hold();
  void Release();

  std::vector<ToldTransaction> told() const;
  /// The events that it was told, each where it came first, as `name_of` names them; other events have the name "".
  using NameOf = std::function<std::string(const matrix::JsonObject& pdu)>;
  std::vector<std::string> FirstTold(const NameOf& name_of) const;

  /// These wait, and throw where it takes too long.
  void AwaitConnections(std::size_t count) const;
  void AwaitTold(std::size_t transactions) const;
  /// Until so many answers have been had in whole: the client has closed after them.
  void AwaitAnswered(std::size_t count) const;
  void AwaitFirstTold(const NameOf& name_of, std::size_t count) const;

 private:
  void Accept();
  void Serve(int connection);
  void Converse(ssl_st* tls, int connection, Manners manners);
  void StaySilent(int connection) const;
  http::Response NextAnswer();
  void Await(std::string_view what, const std::function<bool()>& holds) const;

  const int listening_;
  /// Readable once it ends.
  int ending_[2] = {-1, -1};
  std::string name_;
  std::string certificate_;
  ssl_ctx_st* believable_ = nullptr;
  ssl_ctx_st* unbelievable_ = nullptr;

  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  Manners manners_ = Manners::kAnswers;
  http::Response answer_ = Taken();
  bool held_ = false;
  bool ended_ = false;
  std::size_t connections_ = 0;
  std::size_t answered_ = 0;
  std::vector<ToldTransaction> told_;
  std::deque<std::thread> conversations_;
  std::thread accepting_;
};

}  // namespace postern::flow
