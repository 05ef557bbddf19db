#include "posternctl/leave_batch.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <fstream>
#include <iostream>
#include <iterator>
#include <latch>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "matrix/canonical_json.h"
#include "matrix/identifiers.h"
#include "matrix/refusal.h"
#include "posternctl/commands.h"
#include "posternctl/peer/key_endpoint.h"
#include "posternctl/report.h"

namespace postern::posternctl {
namespace {

using matrix::Json;
using matrix::JsonObject;
using matrix::Reason;
using matrix::Refuse;

constexpr std::size_t kMostLeaves = 100'000;

struct BatchedLeave {
  peer::LeaveIntent intent;
  /// As make_leave answers; nullopt: it is asked for.
  std::optional<std::string> template_body;
  /// Made of that: the event, and the request that carries it. nullopt: not yet.
  std::optional<peer::SignedLeave> signed_leave = std::nullopt;
  http::ClientRequest request{};
};

absl::StatusOr<BatchedLeave> ReadLine(const std::string& line, const std::string& reason) {
  const auto json = matrix::ParseJson(line);
  if (!json.ok()) return json.status();
  const JsonObject* members = json->AsObject();
  const auto text = [&](std::string_view key) {
    const Json* value = members == nullptr ? nullptr : members->Find(key);
    return value == nullptr ? nullptr : value->AsString();
  };
  const std::string* room = text("room");
  const std::string* user = text("user");
  if (room == nullptr || user == nullptr) {
    return Refuse(Reason::kInvalidArgument, R"(expected {"room": text, "user": text})");
  }
  BatchedLeave leave;
  leave.intent = {.room_id = *room, .user_id = *user, .reason = reason};
  if (const Json* at = members->Find("at_ms"); at != nullptr) {
    if (!at->AsInteger()) return Refuse(Reason::kInvalidArgument, "at_ms is no whole number");
    leave.intent.at = absl::FromUnixMillis(*at->AsInteger());
  }
  if (const Json* given = members->Find("template"); given != nullptr) {
    leave.template_body = matrix::CanonicalJson(*given);
  }
  return leave;
}

absl::StatusOr<std::vector<BatchedLeave>> ReadLines(std::istream& input, const std::string& reason) {
  std::vector<BatchedLeave> leaves;
  std::string line;
  for (int number = 1; std::getline(input, line); ++number) {
    if (line.empty()) continue;
    if (leaves.size() == kMostLeaves) {
      return Refuse(Reason::kInvalidArgument, fmt::format("more than {} leaves", kMostLeaves));
    }
    auto leave = ReadLine(line, reason);
    if (!leave.ok()) {
      return Refuse(Reason::kInvalidArgument, fmt::format("line {}: {}", number, matrix::DetailOf(leave.status())));
    }
    leaves.push_back(*std::move(leave));
  }
  if (leaves.empty()) return Refuse(Reason::kInvalidArgument, "there is no leave in it");
  return leaves;
}

absl::StatusOr<std::vector<BatchedLeave>> ReadBatch(const std::string& path, const std::string& reason) {
  if (path == "-") return ReadLines(std::cin, reason);
  std::ifstream file(path, std::ios::binary);
  if (!file) return Refuse(Reason::kInvalidArgument, fmt::format("{}: cannot be read", path));
  auto leaves = ReadLines(file, reason);
  if (!leaves.ok()) {
    return Refuse(Reason::kInvalidArgument, fmt::format("{}: {}", path, matrix::DetailOf(leaves.status())));
  }
  return leaves;
}

/// The server of all the users. Refuses: kInvalidArgument where they are of several, for one key signs for one server.
absl::StatusOr<matrix::ServerName> PlayedServer(const std::vector<BatchedLeave>& leaves) {
  std::optional<matrix::ServerName> played;
  for (const BatchedLeave& leave : leaves) {
    const auto user = matrix::UserId::Parse(leave.intent.user_id);
    if (!user.ok()) return user.status();
    if (!played) played = user->server();
    if (played->text() != user->server().text()) {
      return Refuse(Reason::kInvalidArgument, fmt::format("users of {} and of {}: a batch plays one server",
                                                          played->text(), user->server().text()));
    }
  }
  return *std::move(played);
}

// The stage at which nobody was asked anything.
constexpr const char* kOwnTrouble = "template";

/// What came of one leave.
struct Answer {
  int status = 0;  // 0: there was none
  std::string stage = kOwnTrouble;
  std::string body{};
  std::string event_id{};
  absl::Status trouble{};
  absl::Duration took{};
};

/// The connection of one of those who play at the same time: it is kept from one leave to the next.
class Player {
 public:
  Player(const LeaveOptions& options, const peer::ServerIdentity& identity)
      : client_({.allow_private_networks = true, .insecure_tls = options.insecure, .ca_file = options.ca_file}),
        server_(identity, client_) {}

  http::HttpClient& client() { return client_; }
  const peer::RemoteServer& server() const { return server_; }

 private:
  http::HttpClient client_;
  peer::RemoteServer server_;
};

/// User and system time of this process.
absl::Duration OwnCpu() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  return absl::DurationFromTimeval(used.ru_utime) + absl::DurationFromTimeval(used.ru_stime);
}

class LeaveBatch {
 public:
  LeaveBatch(const LeaveOptions& options, const peer::ServerIdentity& identity, std::vector<BatchedLeave> leaves)
      : options_(options), identity_(identity), leaves_(std::move(leaves)) {
    const auto count = std::min(static_cast<std::size_t>(options.concurrency), leaves_.size());
    for (std::size_t i = 0; i < count; ++i) players_.push_back(std::make_unique<Player>(options, identity));
  }

  int Run() {
    const std::string address = peer::LoopbackAddressOf(identity_.server_name());
    std::unique_ptr<peer::KeyEndpoint> key_endpoint;
    if (!options_.no_key_server && !address.empty()) {
      auto started = peer::KeyEndpoint::Start(identity_, address);
      if (started.ok()) key_endpoint = *std::move(started);  // else somebody serves them there already
    }
    destination_ = {.url = options_.url, .server_name = options_.destination};
    if (destination_.server_name.empty()) {
      auto name = peer::AskServerName(players_.front()->client(), options_.url);
      if (!name.ok()) return Fail(name.status());
      destination_.server_name = *std::move(name);
    }
    SignBeforehand();
    const auto warm_up = std::min(static_cast<std::size_t>(options_.warm_up), leaves_.size());
    PlayPart(0, warm_up, 0, Begins::kAtOnce);
    if (options_.measure) {
      Measure(warm_up);
    } else {
      PlayPart(warm_up, leaves_.size(), options_.per_second, Begins::kAtOnce);
    }
    if (absl::Status kept = KeepTemplates(); !kept.ok()) return Fail(kept);
    if (unanswered_) return kExitUnreachable;
    return refused_ ? kExitRefused : kExitOk;
  }

 private:
  /// Where there is a template. What is wrong with one is told when its turn comes.
  void SignBeforehand() {
    for (BatchedLeave& leave : leaves_) {
      if (leave.template_body) Complete(players_.front()->server(), *leave.template_body, leave).IgnoreError();
    }
  }

  void Measure(std::size_t warm_up) {
    if (options_.lines_at_end) kept_.resize(leaves_.size());
    PlayPart(warm_up, leaves_.size(), options_.per_second, Begins::kAtWord);
    const absl::Duration took = absl::Now() - began_;
    const absl::Duration used = OwnCpu() - cpu_before_;
    for (std::size_t i = warm_up; i < kept_.size(); ++i) Tell(i, kept_[i]);
    TellMeasured(leaves_.size() - warm_up, took, used);
  }

  enum class Begins { kAtOnce, kAtWord };

  /// Those from `first` to before `end`, `per_second` of them begun in a second. kAtWord: once all players have their
  /// threads and connections, and somebody says so; to make them would keep the first leaves that are due waiting.
  void PlayPart(std::size_t first, std::size_t end, int per_second, Begins begins) {
    next_ = first;
    std::latch ready(static_cast<std::ptrdiff_t>(players_.size()));
    std::latch begin(1);
    std::vector<std::thread> threads;
    for (const auto& player : players_) {
      threads.emplace_back([&, first, end, per_second, begins] {
        if (begins == Begins::kAtWord) Connect(*player);
        ready.count_down();
        begin.wait();
        PlaySome(*player, first, end, per_second);
      });
    }
    ready.wait();
    if (begins == Begins::kAtWord) AwaitWord();
    cpu_before_ = OwnCpu();
    began_ = absl::Now();
    begin.count_down();
    for (std::thread& thread : threads) thread.join();
  }

  /// By a question that costs little. Whether it is answered the leaves will tell.
  void Connect(Player& player) const { peer::AskServerName(player.client(), options_.url).status().IgnoreError(); }

  void PlaySome(Player& player, std::size_t first, std::size_t end, int per_second) {
    for (std::size_t i = next_++; i < end; i = next_++) {
      absl::Time due = absl::Now();
      if (per_second > 0) {
        due = began_ + absl::Seconds(static_cast<double>(i - first) / per_second);
        absl::SleepFor(due - absl::Now());
      }
      Answer answer = Play(player, leaves_[i]);
      answer.took = absl::Now() - due;
      if (kept_.empty()) {
        Tell(i, answer);
      } else {
        kept_[i] = std::move(answer);
      }
    }
  }

  Answer Play(Player& player, BatchedLeave& leave) {
    Answer answer;
    if (!leave.template_body) {
      if (!Take(answer, "make_leave", player.server().MakeLeave(destination_, leave.intent))) return answer;
      leave.template_body = answer.body;
    }
    if (!leave.signed_leave) {
      const absl::Status completed = Complete(player.server(), *leave.template_body, leave);
      if (!completed.ok()) return {.trouble = completed};
    }
    if (!leave.signed_leave) return answer;
    answer.event_id = leave.signed_leave->event_id;
    Submit(player, answer, leave.request, *leave.signed_leave);
    return answer;
  }

  /// Checks the template and, unless templates are all that is wanted, signs the event and the request for it.
  absl::Status Complete(const peer::RemoteServer& server, const std::string& template_body, BatchedLeave& leave) const {
    const auto from = peer::ReadLeaveTemplate(template_body);
    if (!from.ok()) return from.status();
    if (absl::Status fits = peer::CheckLeaveTemplate(*from, leave.intent); !fits.ok()) return fits;
    if (!options_.template_only.empty()) return absl::OkStatus();
    auto completed = peer::CompleteLeave(*from, leave.intent, identity_, absl::Now());
    if (!completed.ok()) return completed.status();
    leave.request = server.PrepareSendLeave(destination_, FirstApi(), *completed);
    leave.signed_leave = *std::move(completed);
    return absl::OkStatus();
  }

  peer::LeaveApi FirstApi() const { return options_.api == "v1" ? peer::LeaveApi::kV1 : peer::LeaveApi::kV2; }

  void Submit(Player& player, Answer& answer, const http::ClientRequest& request, const peer::SignedLeave& leave) {
    auto response = player.client().Send(request);
    if (options_.api == "auto" && response.ok() && peer::EndpointIsUnknown(*response)) {
      response = player.server().SendLeave(destination_, peer::LeaveApi::kV1, leave);
    }
    Take(answer, "send_leave", response);
  }

  static void AwaitWord() {
    JsonObject line;
    line.Set("ready", true);
    PrintJson(line);
    std::cout.flush();
    std::string word;
    std::getline(std::cin, word);
  }

  static void TellMeasured(std::size_t leaves, absl::Duration took, absl::Duration cpu) {
    JsonObject measured;
    measured.Set("leaves", static_cast<std::int64_t>(leaves));
    measured.Set("us", absl::ToInt64Microseconds(took));
    measured.Set("cpu_us", absl::ToInt64Microseconds(cpu));
    JsonObject line;
    line.Set("measured", std::move(measured));
    PrintJson(line);
  }

  /// Whether it was 200.
  static bool Take(Answer& answer, const char* stage, const absl::StatusOr<http::Response>& response) {
    answer.stage = stage;
    answer.status = response.ok() ? response->status : 0;
    answer.body = response.ok() ? response->body : "";
    answer.trouble = response.status();
    return answer.status == kHttpOk;
  }

  void Tell(std::size_t index, const Answer& answer) {
    const peer::LeaveIntent& intent = leaves_[index].intent;
    JsonObject line;
    if (index < static_cast<std::size_t>(options_.warm_up)) line.Set("warm_up", true);
    line.Set("room", intent.room_id);
    line.Set("user", intent.user_id);
    line.Set("stage", answer.stage);
    line.Set("status", answer.status);
    line.Set("us", absl::ToInt64Microseconds(answer.took));
    if (!answer.event_id.empty()) line.Set("event_id", answer.event_id);
    if (!answer.trouble.ok()) line.Set("error", std::string(matrix::DetailOf(answer.trouble)));
    const auto body = matrix::ParseJson(answer.body);
    const JsonObject* members = body.ok() ? body->AsObject() : nullptr;
    for (const char* told : {"errcode", "error"}) {
      const Json* value = members == nullptr || answer.status == kHttpOk ? nullptr : members->Find(told);
      if (value != nullptr) line.Set(told, *value);
    }
    const bool fine = answer.status == kHttpOk;
    const std::lock_guard lock(mutex_);
    refused_ = refused_ || !fine;
    unanswered_ = unanswered_ || (answer.status == 0 && answer.stage != kOwnTrouble);
    PrintJson(line);
    std::cout.flush();  // whoever reads may act on it while the rest goes on
  }

  /// --template-only: the same batch again, in its order, of those leaves that have a template.
  absl::Status KeepTemplates() const {
    if (options_.template_only.empty()) return absl::OkStatus();
    std::ofstream file(options_.template_only, std::ios::binary);
    for (const BatchedLeave& leave : leaves_) {
      const auto body = leave.template_body ? matrix::ParseJson(*leave.template_body) : Json(nullptr);
      if (!body.ok() || body->AsObject() == nullptr) continue;
      JsonObject line;
      line.Set("room", leave.intent.room_id);
      line.Set("user", leave.intent.user_id);
      line.Set("template", *body);
      file << matrix::CanonicalJson(line) << '\n';
    }
    file.close();
    if (file) return absl::OkStatus();
    return Refuse(Reason::kInvalidArgument, fmt::format("{}: cannot be written", options_.template_only));
  }

  const LeaveOptions& options_;
  const peer::ServerIdentity& identity_;
  std::vector<BatchedLeave> leaves_;  // each is its player's alone
  std::vector<std::unique_ptr<Player>> players_;
  peer::Destination destination_;
  absl::Time began_;
  absl::Duration cpu_before_;
  std::atomic<std::size_t> next_{0};
  std::vector<Answer> kept_;  // --lines-at-end, while measured; each is its player's alone
  std::mutex mutex_;          // the output, and what follows
  bool refused_ = false;
  bool unanswered_ = false;
};

}  // namespace

int LeaveInBatch(const LeaveOptions& options) {
  if (options.measure && options.batch_file == "-") {
    return FailUsage(Refuse(Reason::kInvalidArgument, "--measure waits on standard input: give the batch as a file"));
  }
  auto leaves = ReadBatch(options.batch_file, options.intent.reason);
  if (!leaves.ok()) return FailUsage(leaves.status());
  auto origin = PlayedServer(*leaves);
  if (!origin.ok()) return FailUsage(origin.status());
  auto keys = peer::ReadKeyFile(options.key_file);
  if (!keys.ok()) return FailUsage(keys.status());
  const peer::ServerIdentity identity(*std::move(origin), *std::move(keys));
  return LeaveBatch(options, identity, *std::move(leaves)).Run();
}

}  // namespace postern::posternctl
