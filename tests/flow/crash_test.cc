// kill -9 at random moments under load, of each service and of PostgreSQL's own processes: what was answered 200 is in
// the database whole, everything else is there whole or not at all, and the stack serves on.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "tests/flow/crash_load.h"
#include "tests/flow/leave_attempt.h"
#include "tests/flow/must.h"

namespace postern::flow {
namespace {

constexpr std::size_t kRoundsEach = 3;
constexpr std::size_t kActorsARound = 40;
constexpr std::size_t kLater = 20;
constexpr absl::Duration kPatience = absl::Seconds(60);
/// Victims.
constexpr const char* kGateway = "gateway";
constexpr const char* kValidator = "validator";
constexpr const char* kStore = "store";
constexpr const char* kPostgres = "a process of PostgreSQL";

/// POSTERN_FLOW_SEED plays a run again, as far as the moments depend on it.
std::uint64_t Seed() {
  const char* given = std::getenv("POSTERN_FLOW_SEED");
  const std::uint64_t seed = given == nullptr ? std::random_device()() : std::strtoull(given, nullptr, 10);
  std::cout << "POSTERN_FLOW_SEED=" << seed << '\n';
  return seed;
}

/// Members of a room of each family, mixed; half of the rooms are joined, half are invited to.
std::vector<Actor> MakeLeavers(const Scene& scene, std::size_t count, std::mt19937_64& random) {
  std::vector<Actor> leavers;
  const std::size_t each = count / kFamilies.size() + 1;
  for (std::size_t family = 0; family < kFamilies.size(); ++family) {
    const char* membership = family % 2 == 0 ? "join" : "invite";
    const auto room =
        scene.room_operator.Seed(kFamilies[family], scene.remote.name(), membership, static_cast<int>(each));
    for (const std::string& user : room.users) {
      leavers.push_back({matrix::FindRoomRules(kFamilies[family]), room.room_id, user});
    }
  }
  std::shuffle(leavers.begin(), leavers.end(), random);
  return leavers;
}

/// Of a room of each family: members who say something and go, and others who join; of a second room, if its version
/// knows knocks, users who knock. Mixed.
std::vector<Actor> MakeComersAndGoers(const Scene& scene, std::size_t count, std::mt19937_64& random) {
  std::vector<Actor> actors;
  const std::size_t each = count / (3 * kFamilies.size()) + 1;
  for (const char* family : kFamilies) {
    const matrix::RoomRules& rules = *matrix::FindRoomRules(family);
    const auto room = scene.room_operator.Seed(family, scene.remote.name(), "join", static_cast<int>(each));
    const std::string knocked_on =
        rules.knocking ? scene.room_operator.Seed(family, scene.remote.name(), "knock", 1).room_id : "";
    for (const std::string& user : room.users) {
      const std::string other = scene.remote.User(fmt::format("new{}", actors.size()));
      actors.push_back({&rules, room.room_id, user, Deed::kTransaction});
      actors.push_back({&rules, room.room_id, other, Deed::kJoin});
      actors.push_back(rules.knocking ? Actor{&rules, knocked_on, other, Deed::kKnock}
                                      : Actor{&rules, room.room_id,
                                              scene.remote.User(fmt::format("newer{}", actors.size())), Deed::kJoin});
    }
  }
  std::shuffle(actors.begin(), actors.end(), random);
  return actors;
}

std::vector<const char*> MakeVictims(std::mt19937_64& random) {
  std::vector<const char*> victims;
  for (std::size_t round = 0; round < kRoundsEach; ++round) {
    victims.insert(victims.end(), {kGateway, kValidator, kStore, kPostgres});
  }
  std::shuffle(victims.begin(), victims.end(), random);
  return victims;
}

/// PostgreSQL recovers from a crash by itself, and lets nobody in until it has.
Database OpenWhenItIsThere(const std::string& dsn) {
  const absl::Time deadline = absl::Now() + kPatience;
  while (absl::Now() < deadline && !store::DatabaseConnection::Open(dsn).ok()) absl::SleepFor(absl::Milliseconds(20));
  return Database(dsn);
}

void KillABackend(const std::string& dsn, std::mt19937_64& random) {
  const auto pids = OpenWhenItIsThere(dsn).Backends();
  Must("a process that serves a client", !pids.empty());
  Must("kill -9", kill(static_cast<pid_t>(pids[random() % pids.size()]), SIGKILL) == 0);
}

void KillAndBringBack(Scene& scene, const std::string& victim, std::mt19937_64& random) {
  if (victim == kPostgres) return KillABackend(scene.stack.dsn(), random);
  scene.stack.KillAndRestart(victim == kGateway     ? scene.stack.gateway()
                             : victim == kValidator ? scene.stack.validator()
                                                    : scene.stack.store());
}

const char* MembershipAfter(Deed deed) {
  return deed == Deed::kJoin ? "join" : deed == Deed::kKnock ? "knock" : "leave";
}

void ExpectWholeOrAbsent(Database& database, const Fate& fate) {
  const auto& [rules, room_id, user, deed] = fate.actor;
  std::int64_t events_before = 1;
  for (const std::string& event_id : fate.event_ids) {
    const LeaveRows rows = database.RowsOfLeave(room_id, event_id, user);
    EXPECT_EQ(rows.event_ids, rows.events);
    // The origin of a transaction tells the others itself.
    EXPECT_EQ(rows.outbox, deed == Deed::kTransaction ? 0 : rows.events);
    EXPECT_EQ(rows.refusals, 0);
    EXPECT_TRUE(rows.events == 1 || !fate.accepted);
    EXPECT_LE(rows.events, events_before) << "what an event follows on is there before it";
    events_before = rows.events;
    if (event_id != fate.event_ids.back()) continue;
    EXPECT_EQ(rows.membership_is_by_it, rows.events == 1);
    EXPECT_EQ(rows.membership == MembershipAfter(deed), rows.events == 1) << rows.membership;
  }
}

/// Kills each victim while there is load, then lets `later` more act; what became of all of them is in the database.
void CrashUnderLoad(Scene& scene, CrashLoad& load, const std::vector<const char*>& victims, std::size_t a_round,
                    std::size_t later, std::mt19937_64& random) {
  for (const char* victim : victims) {
    load.Allow(a_round);
    load.AwaitAccepted(load.accepted() + 1 + random() % (a_round * 3 / 4));
    KillAndBringBack(scene, victim, random);
    scene.stack.WaitUntilReady();
    load.AwaitEnded();
  }
  const std::size_t before = load.accepted();
  scene.stack.WaitUntilReady();
  load.Allow(later);
  load.AwaitEnded();
  EXPECT_EQ(load.accepted(), before + later) << "whoever comes later is accepted";

  Database database = OpenWhenItIsThere(scene.stack.dsn());
  std::size_t given_up = 0;
  for (const Fate& fate : load.fates()) {
    SCOPED_TRACE(testing::PrintToString(fate.event_ids) + " in a room of version " +
                 std::string(fate.actor.rules->version));
    EXPECT_EQ(fate.odd, "");
    ExpectWholeOrAbsent(database, fate);
    given_up += fate.accepted ? 0 : 1;
  }
  EXPECT_EQ(database.HalfWritten(), std::vector<std::string>());
  std::cout << load.accepted() << " accepted, " << given_up << " given up on, " << victims.size() << " crashes\n";
}

/// Every request once more, those that were given up on too: then all of it is there, once.
void SendAllAgain(Scene& scene, const CrashLoad& load) {
  Database database = OpenWhenItIsThere(scene.stack.dsn());
  for (Fate fate : load.fates()) {
    SCOPED_TRACE(testing::PrintToString(fate.event_ids));
    EXPECT_EQ(OddityOf(load.AskUntilAnswered(fate.request), fate.actor.deed), "");
    fate.accepted = true;
    ExpectWholeOrAbsent(database, fate);
  }
  EXPECT_EQ(database.HalfWritten(), std::vector<std::string>());
}

TEST(ACrashOfAnyProcess, LosesNoAcceptedLeaveAndHalvesNone) {
  const std::uint64_t seed = Seed();
  std::mt19937_64 random(seed);
  Scene scene;
  const auto victims = MakeVictims(random);
  CrashLoad load(scene.remote, scene.stack, MakeLeavers(scene, victims.size() * kActorsARound + kLater, random), seed);
  CrashUnderLoad(scene, load, victims, kActorsARound, kLater, random);
}

TEST(ACrashOfAnyProcess, LosesNoJoinNoKnockAndNoTransactionAndTheSameAgainIsAnsweredTheSame) {
  const std::uint64_t seed = Seed();
  std::mt19937_64 random(seed);
  Scene scene;
  const auto victims = MakeVictims(random);
  CrashLoad load(scene.remote, scene.stack, MakeComersAndGoers(scene, victims.size() * kActorsARound + kLater, random),
                 seed);
  CrashUnderLoad(scene, load, victims, kActorsARound, kLater, random);
  SendAllAgain(scene, load);
}

}  // namespace
}  // namespace postern::flow
