// Random rooms that fork, on PostgreSQL and on the fake, judged by the validator: what the store tells of the branches
// is what whole states give, and the current state it keeps is the resolution over all forward extremities.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "fmt/format.h"
#include "matrix/auth_events.h"
#include "matrix/refusal.h"
#include "matrix/state_change.h"
#include "matrix/state_resolution.h"
#include "services/validator/judgement.h"
#include "tests/store/store_rig.h"
#include "tests/support/case_count.h"
#include "tests/support/fake_store.h"
#include "tests/support/fork_slice.h"
#include "tests/support/judging_request.h"
#include "tests/support/store_requests.h"

namespace postern::store {
namespace {

using matrix::Event;
using matrix::ResolutionEvents;
using matrix::StateKey;
using matrix::StateMap;
using support::Draft;
using support::Object;
using support::RoomBuilder;
using support::StoreRig;
using support::TestRoom;

constexpr int kSteps = 30;

/// What a branch says of the keys told, and whether it is before or beside the event.
using ToldBranch = std::pair<StateMap, std::pair<bool, bool>>;

StateMap Entries(const google::protobuf::RepeatedPtrField<matrix::v1::StateEntry>& entries) {
  StateMap state;
  for (const auto& entry : entries) state[{entry.type(), entry.state_key()}] = entry.event_id();
  return state;
}

std::string ValueIn(const StateMap& state, const StateKey& key) {
  const auto entry = state.find(key);
  return entry == state.end() ? "" : entry->second;
}

StateMap Told(const StateMap& state, const StateMap& keys) {
  StateMap told;
  for (const auto& [key, base] : keys) told.emplace(key, ValueIn(state, key));
  return told;
}

StateMap Changed(StateMap state, const StateMap& changes) {
  for (const auto& [key, event_id] : changes) state.insert_or_assign(key, event_id);
  return state;
}

/// A room in a store, with every state of it kept whole beside the store.
class ForkingRoom {
 public:
  ForkingRoom(EventStore& store, const std::string& version, std::uint32_t seed)
      : store_(store), random_(seed), room_(Start(version, seed)) {
    EXPECT_TRUE(store_.CreateRoom(Call(), support::CreateRoomRequestFor(room_)).ok());
    StateMap state;
    for (const Event& event : room_.events()) {
      known_.Add(event);
      state[{event.type(), *event.state_key()}] = event.event_id();
    }
    current_ = state;
    places_ = {&room_.tip()};
    after_[room_.tip().event_id()] = std::move(state);
    extremities_ = {room_.tip().event_id()};
  }

  /// How many events were taken whose state before, or whose current state, had to be resolved.
  int resolved() const { return resolved_; }

  /// Judges one more event and persists what comes of it.
  void Step() {
    std::set<std::string> prev;
    std::vector<const Event*> cited;
    const int several = OneOf(std::vector<int>{1, 1, 1, 2, 3});
    for (int i = 0; i < several; ++i) {
      const Event* place = places_[PlaceNumber()];
      if (prev.insert(place->event_id()).second) cited.push_back(place);
    }
    const StateMap before = Resolution(StatesAfter(prev));
    matrix::RoomState state;
    for (const auto& [key, id] : before) state.Set(*known_.Find(id));
    Draft draft = SomeEvent();
    draft.prev_events = cited;
    draft.state = &state;
    draft.origin_server_ts = room_.tip().origin_server_ts() + std::uniform_int_distribution(-8000, 12000)(random_);
    Judge(room_.Mint(draft), prev, before);
  }

 private:
  static rpc::CallContext Call() { return StoreRig::Within(absl::Seconds(30)); }
  template <typename T>
  const T& OneOf(const std::vector<T>& values) {
    return values[std::uniform_int_distribution<std::size_t>(0, values.size() - 1)(random_)];
  }
  static std::string UserOf(std::size_t number) { return fmt::format("@u{}:b.example", number); }

  /// Its id follows from the creator's server.
  TestRoom Start(const std::string& version, std::uint32_t seed) {
    RoomBuilder builder(version, fmt::format("@creator:a{}.example", seed));
    builder.JoinRule(seed % 2 == 0 ? "public" : "invite");
    for (std::size_t i = 0; i < 6; ++i) {
      builder.Member(UserOf(i), OneOf(std::vector<std::string>{"invite", "join", "join", "leave", ""}));
    }
    return builder.Build();
  }

  /// Mostly one of the newest.
  std::size_t PlaceNumber() {
    const std::size_t newest = std::min<std::size_t>(places_.size(), 6);
    const std::size_t back = std::uniform_int_distribution<std::size_t>(1, newest)(random_);
    return places_.size() - back;
  }

  Draft Member(const std::string& user, const std::string& membership, const std::string& sender) {
    Draft draft{.type = "m.room.member", .state_key = user, .sender = sender, .content = {}};
    draft.content.Set("membership", matrix::Json(membership));
    return draft;
  }

  Draft SomeEvent() {
    const std::string user = UserOf(std::uniform_int_distribution<std::size_t>(0, 5)(random_));
    const std::string creator = room_.creator();
    switch (std::uniform_int_distribution(0, 10)(random_)) {
      case 0:
        return Member(user, "invite", creator);
      case 1:
      case 2:
        return Member(user, "join", user);
      case 3:
        return Member(user, OneOf(std::vector<std::string>{"leave", "ban"}), creator);
      case 4: {
        Draft draft{.type = "m.room.power_levels", .state_key = "", .sender = creator, .content = Object("{}")};
        matrix::JsonObject users;
        if (!room_.rules().room_id_is_create_hash) users.Set(creator, matrix::Json(100));
        users.Set(UserOf(0), matrix::Json(50));
        draft.content.Set("users", matrix::Json(std::move(users)));
        draft.content.Set("kick", matrix::Json(std::uniform_int_distribution(0, 60)(random_)));
        return draft;
      }
      case 5:
        return {.type = "m.room.join_rules",
                .state_key = "",
                .sender = creator,
                .content = Object(OneOf(std::vector<int>{0, 1}) == 0 ? R"({"join_rule":"public"})"
                                                                     : R"({"join_rule":"invite"})")};
      case 6:
        return {.type = "m.room.topic", .state_key = "", .sender = creator, .content = Object("{}")};
      case 7:
        return {.type = "m.room.message", .state_key = std::nullopt, .sender = creator, .content = Object("{}")};
      default:
        return Member(user, "leave", user);
    }
  }

  StateMap Resolution(const std::vector<StateMap>& states) const {
    const auto resolved = matrix::ResolveState(states, known_, room_.rules());
    EXPECT_TRUE(resolved.ok()) << resolved.status();
    return resolved.ok() ? *resolved : StateMap();
  }

  std::vector<StateMap> StatesAfter(const std::set<std::string>& ids) const {
    std::vector<StateMap> states;
    for (const std::string& id : ids) states.push_back(after_.at(id));
    return states;
  }

  std::set<std::string> Beside(const std::set<std::string>& prev) const {
    std::set<std::string> beside;
    std::ranges::set_difference(extremities_, prev, std::inserter(beside, beside.end()));
    return beside;
  }

  v1::GetEventContextRequest RequestFor(const Event& event) {
    v1::GetEventContextRequest request = support::ContextRequestFor(event);
    for (const StateKey& key : matrix::ReadSetOf(event)) {
      auto& asked = *request.add_state_keys();
      asked.set_type(key.type);
      asked.set_state_key(key.state_key);
    }
    if (event.is_state()) {
      request.mutable_own_key()->set_type(event.type());
      request.mutable_own_key()->set_state_key(*event.state_key());
    }
    return request;
  }

  absl::Status Validate(const Event& event, const v1::EventContext& context, matrix::v1::Verdict& verdict) {
    validator::v1::ValidateRequest request = support::ValidateRequestFor(room_, event);
    *request.mutable_context() = context.judging();
    validator::v1::ValidateResponse response;
    const absl::Status status = validator::Validate(request, response);
    verdict = response.verdict();
    return status;
  }

  void Judge(const Event& minted, const std::set<std::string>& prev, const StateMap& before) {
    v1::PersistEventRequest write;
    *write.mutable_context_request() = RequestFor(minted);
    auto context = store_.GetEventContext(Call(), write.context_request());
    ASSERT_TRUE(context.ok()) << context.status();
    CheckStateBefore(context->judging(), before);
    matrix::v1::Verdict verdict;
    absl::Status judged = Validate(minted, *context, verdict);
    write.mutable_context_request()->set_with_branches(true);
    const auto forked = store_.GetEventContext(Call(), write.context_request());
    ASSERT_TRUE(forked.ok()) << forked.status();
    if (forked->judging().has_branches()) CheckBranches(minted, prev, forked->judging());
    if (matrix::ReasonOf(judged) == matrix::Reason::kStateUnresolved) {
      context = forked;
      judged = Validate(minted, *context, verdict);
      if (judged.ok() && verdict.outcome() == matrix::v1::OUTCOME_ACCEPTED) ++resolved_;
    }
    ASSERT_TRUE(judged.ok()) << judged;
    if (verdict.outcome() != matrix::v1::OUTCOME_ACCEPTED) return;  // a soft-failed one is nothing to build on here

    write.set_pdu(TestRoom::Text(minted));
    *write.mutable_verdict() = verdict;
    write.set_token(context->token());
    write.set_origin(std::string("b.example"));
    const auto persisted = store_.PersistEvent(Call(), write);
    ASSERT_TRUE(persisted.ok()) << persisted.status();
    ASSERT_TRUE(persisted->has_stored());
    CheckStateIds(minted, before);
    Follow(minted, prev, before);
    CheckCurrentState();
  }

  void Follow(const Event& minted, const std::set<std::string>& prev, StateMap before) {
    const Event& event = taken_.emplace_back(minted);
    known_.Add(event);
    if (event.is_state()) before[{event.type(), *event.state_key()}] = event.event_id();
    extremities_ = Beside(prev);
    after_[event.event_id()] = std::move(before);
    extremities_.insert(event.event_id());
    places_.push_back(&event);
    current_ = Resolution(StatesAfter(extremities_));
  }

  /// Where it is told without branches.
  void CheckStateBefore(const matrix::v1::JudgingContext& judging, const StateMap& before) {
    if (judging.state_before_unresolved()) return;
    for (const auto& [key, event_id] : Entries(judging.state_before())) EXPECT_EQ(event_id, ValueIn(before, key));
    for (const auto& [key, event_id] : Entries(judging.state_now())) EXPECT_EQ(event_id, ValueIn(current_, key));
  }

  /// As another server is told it, whole.
  void CheckStateIds(const Event& event, const StateMap& before) {
    v1::GetStateIdsRequest request;
    request.set_room_id(room_.room_id());
    request.set_event_id(event.event_id());
    request.set_asker("b.example");
    const auto told = store_.GetStateIds(Call(), request);
    ASSERT_TRUE(told.ok()) << told.status();
    std::multiset<std::string> ids;
    for (const auto& [key, id] : before) ids.insert(id);
    EXPECT_EQ(std::multiset<std::string>(told->state().begin(), told->state().end()), ids);
  }

  void CheckBranches(const Event& event, const std::set<std::string>& prev, const matrix::v1::JudgingContext& judging) {
    const matrix::v1::Branches& branches = judging.branches();
    ASSERT_FALSE(branches.too_large());
    const StateMap base = Entries(branches.base());
    std::vector<StateMap> all = StatesAfter(prev);
    const bool unresolved = judging.state_before_unresolved();
    if (!unresolved) all = {Resolution(all)};
    std::set<ToldBranch> expected, told;
    for (const StateMap& state : all) expected.insert({Told(state, base), {true, false}});
    for (const StateMap& state : StatesAfter(Beside(prev))) {
      expected.insert({Told(state, base), {false, true}});
      all.push_back(state);
    }
    all.push_back(current_);
    for (const auto& state : branches.states()) {
      const StateMap values = Changed(base, Entries(state.changes()));
      if (state.before()) told.insert({values, {true, false}});
      if (state.beside()) told.insert({values, {false, true}});
    }
    EXPECT_EQ(told, expected);
    EXPECT_EQ(Changed(base, Entries(branches.now())), Told(current_, base));

    support::CutOptions options{.told = {}, .asked = {}, .cited = event.auth_events()};
    for (const auto& [key, event_id] : base) options.told.insert(key);
    if (event.is_state()) {
      EXPECT_TRUE(base.contains({event.type(), *event.state_key()}));
    }
    const support::ForkSlice slice = support::CutFork(all, known_, options);
    EXPECT_EQ(slice.fork.base.size(), base.size()) << "a key in which the states differ is not told";
    CheckGiven(judging, slice);
  }

  /// At least what CutFork gives.
  void CheckGiven(const matrix::v1::JudgingContext& judging, const support::ForkSlice& slice) {
    const matrix::v1::Branches& branches = judging.branches();
    std::set<std::string> given;
    for (const auto& stored : judging.events()) {
      EXPECT_TRUE(given.insert(stored.event_id()).second) << "given twice";
    }
    for (const std::string& id : slice.events) EXPECT_TRUE(given.contains(id)) << id;
    const StateMap agreed = Entries(branches.agreed());
    for (const auto& [key, event_id] : slice.fork.agreed) {
      ASSERT_TRUE(agreed.contains(key)) << key.type << " " << key.state_key;
      EXPECT_EQ(agreed.at(key), event_id);
    }
    const std::set<std::string> reached(branches.reached().begin(), branches.reached().end());
    const std::set<std::string> not_reached(branches.not_reached().begin(), branches.not_reached().end());
    for (const auto& [id, is_reached] : slice.fork.reached) {
      EXPECT_EQ(reached.contains(id), is_reached) << id;
      EXPECT_EQ(not_reached.contains(id), !is_reached) << id;
    }
  }

  void CheckCurrentState() {
    v1::GetRoomRequest request;
    request.set_room_id(room_.room_id());
    const auto described = store_.GetRoom(Call(), request);
    ASSERT_TRUE(described.ok());
    EXPECT_EQ(Entries(described->state()), current_);
    EXPECT_EQ(std::set<std::string>(described->forward_extremities().begin(), described->forward_extremities().end()),
              extremities_);
    std::int64_t joined = 0;
    for (const auto& [key, id] : current_) {
      if (key.type == "m.room.member" && known_.Find(id)->membership() == "join") ++joined;
    }
    EXPECT_EQ(described->joined_members(), joined);
    std::int64_t by_server = 0;
    for (const auto& server : described->servers()) by_server += server.joined_members();
    EXPECT_EQ(by_server, joined);
  }

  EventStore& store_;
  std::mt19937 random_;
  TestRoom room_;
  std::deque<Event> taken_;
  ResolutionEvents known_;
  std::vector<const Event*> places_;
  std::map<std::string, StateMap> after_;
  std::set<std::string> extremities_;
  StateMap current_;
  int resolved_ = 0;
};

class Forks : public testing::TestWithParam<std::string> {
 protected:
  static void Grow(EventStore& store, std::uint32_t rooms) {
    int resolved = 0;
    for (std::uint32_t seed = 1; seed <= rooms; ++seed) {
      ForkingRoom room(store, GetParam(), seed);
      for (int step = 0; step < kSteps; ++step) {
        room.Step();
        ASSERT_FALSE(HasFailure()) << "seed " << seed << ", step " << step;
      }
      resolved += room.resolved();
    }
    EXPECT_GE(resolved, static_cast<int>(2 * rooms)) << "too few forks to prove anything";
  }
};

INSTANTIATE_TEST_SUITE_P(Versions, Forks, testing::Values("1", "4", "8", "11", "12"),
                         [](const auto& tested) { return "V" + tested.param; });

TEST_P(Forks, OnPostgresEndWhereTheWholeResolutionEnds) {
  StoreRig rig;
  Grow(rig.store(), support::CaseCount(5));
}

TEST_P(Forks, OnTheFakeEndWhereTheWholeResolutionEnds) {
  support::FakeStore store("a.example");
  Grow(store, support::CaseCount(20));
}

}  // namespace
}  // namespace postern::store
