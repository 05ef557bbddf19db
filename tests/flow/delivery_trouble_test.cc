// Other servers in trouble, and a sender that is killed: on real processes, with played servers over real TLS. Whatever
// happens, each is told of each event, in its room's order, and nobody waits for somebody else (pitfalls O01-O06).
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <deque>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>

#include "absl/time/clock.h"
#include "postern/store/v1/store.grpc.pb.h"
#include "tests/flow/must.h"
#include "tests/flow/played_destination.h"
#include "tests/flow/played_homeserver.h"
#include "tests/flow/room_operator.h"
#include "tests/flow/running_stack.h"
#include "tests/posternctl/program.h"

namespace postern::flow {
namespace {

using testing::ElementsAreArray;

constexpr absl::Duration kPatience = absl::Seconds(150);
constexpr absl::Duration kHandOver = absl::Minutes(2);
constexpr absl::Duration kRetryAfter = absl::Seconds(2);
// Short, so that nobody has to wait long for what is tried again. What a server asks for is obeyed up to the longest.
constexpr const char* kSettings = R"(
rate_limits: false
sender:
  quick_retry: 100ms
  first_retry: 200ms
  longest_retry: 3s
  lease: 1s
)";

/// What a test's event is called in its content; "" for any other.
std::string NameOf(const matrix::JsonObject& pdu) {
  const matrix::Json* content = pdu.Find("content");
  const matrix::Json* name = content == nullptr ? nullptr : content->AsObject()->Find("called");
  return name == nullptr ? "" : *name->AsString();
}

std::vector<std::string> OfRoom(const std::vector<std::string>& names, char room) {
  std::vector<std::string> of_room;
  for (const std::string& name : names) {
    if (name.front() == room) of_room.push_back(name);
  }
  return of_room;
}

/// That what came more than once under one transaction id was the very same (pitfall O02).
void ExpectRepeatsToBeTheSame(const PlayedDestination& destination) {
  std::map<std::string, std::string> bodies;
  for (const ToldTransaction& transaction : destination.told()) {
    const auto first = bodies.emplace(transaction.id(), transaction.request.body).first;
    EXPECT_EQ(first->second, transaction.request.body) << destination.name();
  }
}

/// A room, with events that are called after it: a1, a2, …
class ToldRoom {
 public:
  ToldRoom(const RoomOperator& room_operator, char name, const std::vector<std::string>& servers)
      : operator_(room_operator), name_(name), room_(operator_.Seed("10", "guest.example", "invite", 1, servers)) {}

  void Write() {
    called_.push_back(fmt::format("{}{}", name_, called_.size() + 1));
    operator_.SetState(room_.room_id, "org.test.event", fmt::format(R"({{"called":"{}"}})", called_.back()));
  }
  const std::vector<std::string>& called() const { return called_; }
  char name() const { return name_; }

 private:
  const RoomOperator& operator_;
  const char name_;
  const SeededRoom room_;
  std::vector<std::string> called_;
};

/// The store's list, as `posternctl outbox` has it.
class Outbox {
 public:
  explicit Outbox(const RunningStack& stack)
      : stack_(stack),
        stub_(store::v1::Store::NewStub(grpc::CreateChannel(stack.store().grpc, grpc::InsecureChannelCredentials()))) {}

  store::v1::Destination StandingOf(const std::string& name) const {
    grpc::ClientContext context;
    context.set_wait_for_ready(true);
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    store::v1::ListDestinationsResponse response;
    const grpc::Status status = stub_->ListDestinations(&context, {}, &response);
    Must(fmt::format("the list of destinations ({})", status.error_message()), status.ok());
    for (const auto& destination : response.destinations()) {
      if (destination.destination() == name) return destination;
    }
    return {};
  }
  store::v1::Destination Await(const std::string& name,
                               const std::function<bool(const store::v1::Destination&)>& holds) const {
    const absl::Time deadline = absl::Now() + kPatience;
    for (;;) {
      const store::v1::Destination standing = StandingOf(name);
      if (holds(standing)) return standing;
      Must(fmt::format("what is awaited of {}: {}", name, standing.ShortDebugString()), absl::Now() < deadline);
      absl::SleepFor(absl::Milliseconds(20));
    }
  }
  void AwaitNothingWaits(const std::string& name) const {
    const auto standing = Await(name, [](const auto& at) { return at.pending() == 0 && at.has_delivered_at_ms(); });
    EXPECT_EQ(standing.failures(), 0U);
    EXPECT_EQ(standing.last_error(), "");
    EXPECT_EQ(standing.parked(), 0);
  }
  posternctl::Ended Ctl(std::vector<std::string> arguments) const {
    return posternctl::RunPosternctl(arguments, {"POSTERN_STORE=" + stack_.store().grpc});
  }

 private:
  const RunningStack& stack_;
  const std::unique_ptr<store::v1::Store::Stub> stub_;
};

// -- a destination in trouble
// ------------------------------------------------------------------------------------------

struct Trouble {
  const char* name;
  Manners manners = Manners::kAnswers;
  http::Response answer = PlayedDestination::Taken();
  /// In what the store says of the last attempt; nullptr: what libcurl says of it.
  const char* said = nullptr;
  /// Of the store: how often at least it has failed, and whether it waits for an operator instead.
  std::uint32_t failures = 2;
  bool waits_for_operator = false;
  bool refuses_connections = false;
};

std::vector<Trouble> Troubles() {
  const auto answer = [](int status, const char* body = "{}", http::Headers headers = {}) {
    return http::Response{.status = status, .headers = std::move(headers), .body = body};
  };
  return {
      {.name = "RefusesConnections", .refuses_connections = true},
      {.name = "NeverAnswers", .manners = Manners::kSilent},
      {.name = "ResetsInItsAnswer", .manners = Manners::kResets},
      {.name = "HasAWrongCertificate", .manners = Manners::kUnbelievable},
      {.name = "AnswersGarbage", .answer = answer(200, "<html>"), .said = "200"},
      {.name = "ServerError", .answer = answer(500), .said = "500"},
      {.name = "TooManyRequests", .answer = answer(429, "{}", {{"Retry-After", "2"}}), .said = "429"},
      {.name = "Gone", .answer = answer(410), .said = "410"},
      // These two say nothing of the destination's health.
      {.name = "NotFound", .answer = answer(404), .said = "404", .failures = 0, .waits_for_operator = true},
      {.name = "RefusesTheContent", .answer = answer(400), .said = "400", .failures = 0, .waits_for_operator = true},
  };
}

class DeliveryTrouble : public testing::Test {
 protected:
  DeliveryTrouble() {
    std::ofstream authorities(authorities_);
    for (PlayedDestination& destination : destinations_) authorities << destination.certificate();
    authorities << neighbour_.certificate();
  }
  ~DeliveryTrouble() override { std::filesystem::remove(authorities_); }

  std::vector<std::string> Names() const {
    std::vector<std::string> names{neighbour_.name()};
    for (const PlayedDestination& destination : destinations_) names.push_back(destination.name());
    return names;
  }

  const std::vector<Trouble> troubles_ = Troubles();
  const std::string authorities_ = fmt::format("{}/postern-authorities-{}.pem", testing::TempDir(), getpid());
  std::vector<PlayedDestination> destinations_{troubles_.size()};
  PlayedDestination neighbour_;
};

void ExpectToBeInTrouble(const Outbox& outbox, const Trouble& trouble, const PlayedDestination& destination) {
  const auto standing = outbox.Await(destination.name(), [&](const store::v1::Destination& at) {
    const bool is_said =
        trouble.said == nullptr ? !at.last_error().empty() : at.last_error().find(trouble.said) != std::string::npos;
    return at.failures() >= trouble.failures && is_said && (at.parked() > 0 || at.has_failing_since_ms());
  });
  EXPECT_FALSE(standing.has_delivered_at_ms());
}

/// What an operator sees of it, by name.
void ExpectToBeShown(const Outbox& outbox, const std::vector<Trouble>& troubles,
                     const std::vector<PlayedDestination>& destinations) {
  const auto shown = outbox.Ctl({"--json", "outbox"});
  ASSERT_EQ(shown.status, 0) << shown.errors;
  std::map<std::string, const matrix::Json*> rows;
  const matrix::Json json = shown.json();
  for (const matrix::Json& row : *json.AsArray()) rows[posternctl::Text(row, "destination")] = &row;
  for (std::size_t i = 0; i < troubles.size(); ++i) {
    SCOPED_TRACE(troubles[i].name);
    ASSERT_TRUE(rows.contains(destinations[i].name())) << shown.output;
    const matrix::Json& row = *rows[destinations[i].name()];
    EXPECT_GE(posternctl::Number(row, "failures"), troubles[i].failures);
    EXPECT_NE(posternctl::Text(row, "last_error"), "");
    EXPECT_GT(posternctl::Number(row, "pending") + posternctl::Number(row, "parked"), 0);
    std::cout << fmt::format("{:22} {:2} failures, {} wait, {} parked: {}\n", troubles[i].name,
                             posternctl::Number(row, "failures"), posternctl::Number(row, "pending"),
                             posternctl::Number(row, "parked"), posternctl::Text(row, "last_error"));
  }
}

void Heal(const Outbox& outbox, const Trouble& trouble, PlayedDestination& destination) {
  // What is under way when an operator retries may be refused after that, and would wait for the next retry.
  outbox.Await(destination.name(), [](const auto& at) { return at.parked() == 0 || at.pending() == 0; });
  destination.Behave(Manners::kAnswers);
  if (trouble.refuses_connections) destination.Listen();
  if (!trouble.waits_for_operator) return;
  const auto retried = outbox.Ctl({"outbox", "retry", destination.name()});
  EXPECT_EQ(retried.status, 0) << retried.errors;
}

TEST_F(DeliveryTrouble, KeepsNobodyElseWaitingAndEndsWithEachEventToldInOrder) {
  const RunningStack stack(
      {.gateway_settings = fmt::format("{}  request_timeout: 1s\nfederation_ca_file: {}\n", kSettings, authorities_),
       .insecure_federation_tls = false});
  const RoomOperator room_operator(stack);
  const Outbox outbox(stack);
  neighbour_.Listen();
  for (std::size_t i = 0; i < troubles_.size(); ++i) {
    destinations_[i].Behave(troubles_[i].manners, troubles_[i].answer);
    if (!troubles_[i].refuses_connections) destinations_[i].Listen();
  }

  ToldRoom one(room_operator, 'a', Names()), other(room_operator, 'b', Names());
  for (ToldRoom* room : {&one, &other, &one}) room->Write();
  for (std::size_t i = 0; i < troubles_.size(); ++i) {
    SCOPED_TRACE(troubles_[i].name);
    ExpectToBeInTrouble(outbox, troubles_[i], destinations_[i]);
  }
  ExpectToBeShown(outbox, troubles_, destinations_);
  for (ToldRoom* room : {&other, &one}) room->Write();
  neighbour_.AwaitFirstTold(NameOf, 5);  // while all the others are in trouble

  for (std::size_t i = 0; i < troubles_.size(); ++i) Heal(outbox, troubles_[i], destinations_[i]);
  for (std::size_t i = 0; i < troubles_.size(); ++i) {
    SCOPED_TRACE(troubles_[i].name);
    destinations_[i].AwaitFirstTold(NameOf, 5);
    outbox.AwaitNothingWaits(destinations_[i].name());
    EXPECT_THAT(OfRoom(destinations_[i].FirstTold(NameOf), 'a'), ElementsAreArray(one.called()));
    EXPECT_THAT(OfRoom(destinations_[i].FirstTold(NameOf), 'b'), ElementsAreArray(other.called()));
    ExpectRepeatsToBeTheSame(destinations_[i]);
    if (std::string_view(troubles_[i].name) != "TooManyRequests") continue;
    const auto told = destinations_[i].told();
    EXPECT_GE(told.at(1).at - told.at(0).at, kRetryAfter);
  }
  outbox.AwaitNothingWaits(neighbour_.name());
}

// -- a sender that is killed
// -------------------------------------------------------------------------------------------

enum class Moment { kBeforeItsRequest, kBeforeTheAnswer, kBeforeItsReport };
enum class Successor { kItself, kAnother };

struct Killing {
  const char* name;
  Moment moment;
  Successor successor;
};

/// Two gateways, of which the second stands still while the first one sends.
class KilledSender : public testing::TestWithParam<Killing> {
 protected:
  static void SetUpTestSuite() {
    stack_ = std::make_unique<RunningStack>(StackOptions{.gateways = 2, .gateway_settings = kSettings});
  }
  static void TearDownTestSuite() { stack_.reset(); }

  static std::unique_ptr<RunningStack> stack_;
};
std::unique_ptr<RunningStack> KilledSender::stack_;

/// Writes the first event, brings the sender to `moment`, and writes the others meanwhile. Returns the store where it
/// stands still.
std::unique_ptr<Frozen> BringTo(Moment moment, const RunningStack& stack, std::array<ToldRoom, 2>& rooms,
                                PlayedDestination& destination) {
  if (moment == Moment::kBeforeItsRequest) {
    destination.Behave(Manners::kSilent);
  } else {
    destination.Hold();
  }
  destination.Listen();
  rooms[0].Write();
  if (moment == Moment::kBeforeItsRequest) {
    destination.AwaitConnections(1);
  } else {
    destination.AwaitTold(1);
  }
  for (ToldRoom* room : {&rooms[1], &rooms[0], &rooms[1]}) room->Write();
  std::unique_ptr<Frozen> store;
  if (moment == Moment::kBeforeItsReport) {
    store = std::make_unique<Frozen>(stack.store());
    destination.Release();
    destination.AwaitAnswered(1);
  }
  return store;
}

TEST_P(KilledSender, LosesNothing) {
  const Killing& c = GetParam();
  PlayedDestination destination;
  auto room_operator = std::make_unique<RoomOperator>(*stack_);
  std::array rooms{ToldRoom(*room_operator, 'a', {destination.name()}),
                   ToldRoom(*room_operator, 'b', {destination.name()})};
  auto spare = std::make_unique<Frozen>(stack_->gateway(1));
  auto store = BringTo(c.moment, *stack_, rooms, destination);
  stack_->Kill(stack_->gateway(0));
  const absl::Time killed = absl::Now();
  const std::size_t before = destination.told().size();
  destination.Behave(Manners::kAnswers);
  destination.Release();
  store.reset();
  if (c.successor == Successor::kItself) {
    stack_->Restart(stack_->gateway(0));
  } else {
    spare.reset();
  }

  destination.AwaitFirstTold(NameOf, 4);
  const auto told = destination.told();
  const absl::Duration after = told.at(before).at - killed;
  EXPECT_LE(after, kHandOver);
  std::cout << c.name << ": told again " << absl::FormatDuration(absl::Trunc(after, absl::Milliseconds(1)))
            << " after the end of the sender, " << told.size() << " transactions in all\n";
  for (const ToldRoom& room : rooms) {
    EXPECT_THAT(OfRoom(destination.FirstTold(NameOf), room.name()), ElementsAreArray(room.called()));
  }
  ExpectRepeatsToBeTheSame(destination);
  if (c.moment == Moment::kBeforeTheAnswer) {
    EXPECT_EQ(told.at(1).id(), told.at(0).id());
  }
  Outbox(*stack_).AwaitNothingWaits(destination.name());

  if (c.successor == Successor::kAnother) stack_->Restart(stack_->gateway(0));
  spare.reset();
  stack_->WaitUntilReady();
}

INSTANTIATE_TEST_SUITE_P(
    AtAMoment, KilledSender,
    testing::Values(Killing{"BeforeItsRequestThenRestarted", Moment::kBeforeItsRequest, Successor::kItself},
                    Killing{"BeforeItsRequestThenReplaced", Moment::kBeforeItsRequest, Successor::kAnother},
                    Killing{"BeforeTheAnswerThenRestarted", Moment::kBeforeTheAnswer, Successor::kItself},
                    Killing{"BeforeTheAnswerThenReplaced", Moment::kBeforeTheAnswer, Successor::kAnother},
                    Killing{"BeforeItsReportThenRestarted", Moment::kBeforeItsReport, Successor::kItself},
                    Killing{"BeforeItsReportThenReplaced", Moment::kBeforeItsReport, Successor::kAnother}),
    [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace postern::flow
