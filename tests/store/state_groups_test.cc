// State groups against a plain map: what a group says is what was put into it, and the path to it stays short.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <map>
#include <random>
#include <regex>
#include <string>
#include <utility>
#include <vector>

#include "services/store/migrations.h"
#include "services/store/room_partitions.h"
#include "services/store/sql_functions.h"
#include "tests/store/store_rig.h"

namespace postern::store {
namespace {

using State = std::map<std::string, std::string>;  // by state key; an empty id is a removed entry

constexpr Statement kGrow{"grow",
                          "insert into state_entries select 'r', 0, 't', k.key, $1::integer + k.place, k.id "
                          "from unnest($2::bytea[], $3::bytea[]) with ordinality as k(key, id, place)"};
constexpr Statement kBranch{
    "branch", "select fn.branch_state('r', $1, $2, array_fill('t'::bytea, array[cardinality($3::bytea[])]), $3, $4)"};
constexpr Statement kLookUp{"look_up",
                            "select s.state_key, s.event_id from fn.state_path('r', $1) p, lateral fn.state_at('r', "
                            "p.lineages, p.positions, array_fill('t'::bytea, array[cardinality($2::bytea[])]), $2) s"};
constexpr Statement kWhole{"whole", "select state_key, event_id from fn.whole_state('r', $1)"};
constexpr Statement kPathLength{"path_length", "select cardinality(lineages) from fn.state_path('r', $1)"};

class StateGroups : public testing::Test {
 protected:
  StateGroups() : connection_(*DatabaseConnection::Open(database_.dsn())) {
    EXPECT_TRUE(ApplyMigrations(*connection_).ok());
    EXPECT_TRUE(InstallSqlFunctions(*connection_).ok());
    EXPECT_TRUE(PartitionByRoom(*connection_, support::TestDatabase::room_partitions()).ok());
  }

  Rows Run(const Statement& statement, const Parameters& parameters) {
    auto rows = connection_->Call(statement, parameters);
    EXPECT_TRUE(rows.ok());
    return *std::move(rows);
  }

  static State Decode(const Rows& rows) {
    State state;
    for (std::size_t i = 0; i < rows.size(); ++i) state[rows.Bytes(i, 0)] = rows.Bytes(i, 1);
    return state;
  }

  static State Present(State state) {
    std::erase_if(state, [](const auto& entry) { return entry.second.empty(); });
    return state;
  }

  support::TestDatabase database_;
  std::unique_ptr<DatabaseConnection> connection_;
};

TEST_F(StateGroups, SayWhatWasPutIntoThem) {
  std::mt19937 random(7);
  const auto below = [&](std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(random); };
  std::vector<std::pair<std::int64_t, State>> groups = {{0, {}}};
  State trunk;
  std::int64_t tip = 0;
  int lineage = 0;
  std::size_t side_changes = 0;
  constexpr int kSteps = 3000;
  for (int step = 0; step < kSteps; ++step) {
    std::map<std::string, std::string> changes;
    const std::size_t count = 1 + (below(4) == 0 ? below(4) : 0);
    while (changes.size() < count) {
      changes[fmt::format("k{}", below(60))] = below(20) == 0 ? "" : fmt::format("${}-{}", step, changes.size());
    }
    std::vector<std::string> keys;
    std::vector<std::optional<std::string>> ids;
    for (const auto& [key, id] : changes) {
      keys.push_back(key);
      ids.push_back(id.empty() ? std::nullopt : std::optional(id));
    }
    // A third extends the trunk; the rest branches from the newest, to grow long branches, or from any.
    if (below(3) == 0) {
      Run(kGrow, Parameters().Integer(tip).BytesArray(keys).BytesArray(ids));
      tip += static_cast<std::int64_t>(count);
      for (const auto& [key, id] : changes) trunk[key] = id;
      groups.emplace_back(tip, trunk);
      continue;
    }
    const auto& [base, state] = below(4) != 0 ? groups.back() : groups[below(groups.size())];
    const Rows made =
        Run(kBranch, Parameters().Integer(base).Integer(std::int64_t{++lineage}).BytesArray(keys).BytesArray(ids));
    State after = state;
    for (const auto& [key, id] : changes) after[key] = id;
    side_changes += count;
    groups.emplace_back(made.Integer(0, 0), std::move(after));
  }

  std::vector<std::string> every_key;
  for (int i = 0; i < 60; ++i) every_key.push_back(fmt::format("k{}", i));
  const double longest = 2 + std::log2(static_cast<double>(side_changes));
  for (std::size_t i = 0; i < groups.size(); i += 3) {
    const auto& [group, state] = groups[i];
    EXPECT_EQ(Decode(Run(kLookUp, Parameters().Integer(group).BytesArray(every_key))), Present(state)) << i;
    EXPECT_LE(static_cast<double>(Run(kPathLength, Parameters().Integer(group)).Integer(0, 0)), longest);
    if (i % 30 == 0) {
      EXPECT_EQ(Decode(Run(kWhole, Parameters().Integer(group))), Present(state)) << i;
    }
  }
}

TEST_F(StateGroups, ABranchReadsNothingOfALongTrunk) {
  constexpr std::int64_t kTrunk = 20'000;
  std::vector<std::string> keys;
  std::vector<std::optional<std::string>> ids;
  for (std::int64_t i = 0; i < kTrunk; ++i) {
    keys.push_back(fmt::format("k{}", i));
    ids.emplace_back(fmt::format("${}", i));
  }
  // Plans are of rooms as they were, small.
  Run({"others",
       "insert into state_entries select convert_to('o' || o, 'UTF8'), 0, 't', convert_to('k' || k, 'UTF8'), k, '$' "
       "from generate_series(1, 40) o, generate_series(1, 500) k"},
      {});
  Run({"analyzed", "analyze state_entries"}, {});
  Run(kGrow, Parameters().Integer(0).BytesArray(keys).BytesArray(ids));
  Run({"generic", "set plan_cache_mode = force_generic_plan"}, {});
  std::int64_t least = kTrunk;
  std::deque<std::string> names, texts;
  for (int lineage = 1; lineage <= 5; ++lineage) {
    names.push_back(fmt::format("explained_{}", lineage));
    texts.push_back(
        fmt::format("explain (analyze, buffers, format json) select fn.branch_state('r', {}, {}, array['t']::bytea[], "
                    "array['k']::bytea[], array['$new']::bytea[])",
                    kTrunk, lineage));
    const Rows rows = Run({names.back().c_str(), texts.back().c_str()}, {});
    std::smatch found;
    const std::string plan(rows.Text(0, 0));
    ASSERT_TRUE(std::regex_search(plan, found, std::regex(R"re("Shared Hit Blocks": (\d+))re"))) << plan;
    least = std::min<std::int64_t>(least, std::stoi(found[1]));
  }
  EXPECT_LE(least, 60);
}

TEST_F(StateGroups, ALongBranchCostsLittle) {
  // 2,000 changes one after the other beside the trunk: the path stays logarithmic, and so does what each change was
  // copied.
  std::int64_t group = 0;
  constexpr int kChanges = 2000;
  for (int i = 1; i <= kChanges; ++i) {
    group = Run(kBranch, Parameters()
                             .Integer(group)
                             .Integer(std::int64_t{i})
                             .BytesArray(std::vector<std::string>{fmt::format("k{}", i)})
                             .BytesArray(std::vector<std::string>{fmt::format("${}", i)}))
                .Integer(0, 0);
    if (i % 100 == 0) {
      EXPECT_LE(Run(kPathLength, Parameters().Integer(group)).Integer(0, 0), 2 + std::log2(i));
    }
  }
  const Rows written = Run({"written", "select count(*) from state_entries"}, {});
  EXPECT_LE(static_cast<double>(written.Integer(0, 0)), kChanges * (1 + std::log2(kChanges)));
  EXPECT_EQ(Run(kWhole, Parameters().Integer(group)).size(), std::size_t{kChanges});
}

}  // namespace
}  // namespace postern::store
