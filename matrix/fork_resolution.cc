// State resolution of a fork that is told by its differences: the algorithms are the same, what they start from is put
// together from less.
#include <algorithm>
#include <cstdint>
#include <deque>
#include <utility>

#include "fmt/format.h"
#include "matrix/refusal.h"
#include "matrix/resolution_algorithms.h"
#include "matrix/state_resolution.h"

namespace postern::matrix {
namespace {

/// A set of branches, by number.
class BranchSet {
 public:
  BranchSet(std::size_t branches, bool all) : words_((branches + 63) / 64, all ? ~std::uint64_t{0} : 0) {
    if (all && branches % 64 != 0) words_.back() = (std::uint64_t{1} << branches % 64) - 1;
  }
  void Add(std::size_t branch) { words_[branch / 64] |= std::uint64_t{1} << branch % 64; }
  void Remove(std::size_t branch) { words_[branch / 64] &= ~(std::uint64_t{1} << branch % 64); }
  /// Returns whether any was new.
  bool Add(const BranchSet& others) {
    std::uint64_t added = 0;
    for (std::size_t i = 0; i < words_.size(); ++i) {
      added |= others.words_[i] & ~words_[i];
      words_[i] |= others.words_[i];
    }
    return added != 0;
  }
  bool empty() const {
    return std::ranges::all_of(words_, [](std::uint64_t word) { return word == 0; });
  }
  bool operator==(const BranchSet&) const = default;

 private:
  std::vector<std::uint64_t> words_;
};

/// The values of one key, with the branches that have each.
using ValuesOfKey = std::map<const Event*, BranchSet, ByEventId>;

/// A fork whose events have been looked up.
class Fork {
 public:
  Fork(const ForkedState& fork, ResolutionGraph& graph) : fork_(fork), graph_(graph), size_(fork.branches.size()) {
    std::set<StateKey> keys;
    for (const auto& [key, event_id] : fork.base) keys.insert(key);
    for (const StateMap& branch : fork.branches) {
      for (const auto& [key, event_id] : branch) keys.insert(key);
    }
    for (const StateKey& key : keys) LookUp(key);
    for (const auto& [key, event_id] : fork.agreed) {
      if (!event_id.empty()) agreed_.emplace(key, graph.Find(event_id));
      keys.insert(key);
    }
    graph.SeeOnly(std::move(keys));
  }

  EventValues AllValues() const {
    EventValues values;
    for (const auto& [key, of_key] : values_) {
      for (const auto& [event, branches] : of_key) values[key].insert(event);
    }
    for (const auto& [key, event] : agreed_) values[key].insert(event);
    return values;
  }

  Conflict InDispute() {
    Conflict conflict{.unconflicted = agreed_, .conflicted = {}, .auth_difference = {}};
    const BranchSet all(size_, true);
    for (const auto& [key, of_key] : values_) {
      if (of_key.size() == 1 && of_key.begin()->second == all) {
        conflict.unconflicted.emplace(key, of_key.begin()->first);
        continue;
      }
      for (const auto& [event, branches] : of_key) conflict.conflicted.insert(event);
    }
    if (!conflict.conflicted.empty()) AddAuthDifference(conflict);
    return conflict;
  }

  /// `resolved` without the entries that all branches agree on; the keys of the fork that it lacks have no entry.
  StateMap AnswerFrom(const EventState& resolved) const {
    StateMap answer;
    for (const auto& [key, of_key] : values_) answer.emplace(key, "");
    for (const auto& [key, event] : resolved) {
      if (!agreed_.contains(key)) answer.insert_or_assign(key, event->event_id());
    }
    return answer;
  }

 private:
  void LookUp(const StateKey& key) {
    ValuesOfKey& of_key = values_[key];
    BranchSet unchanged(size_, true);
    const auto add = [&](const std::string& event_id, const BranchSet& branches) {
      if (event_id.empty() || branches.empty()) return;
      const Event* event = graph_.Find(event_id);
      if (event) of_key.try_emplace(event, size_, false).first->second.Add(branches);
    };
    for (std::size_t i = 0; i < size_; ++i) {
      const auto change = fork_.branches[i].find(key);
      if (change == fork_.branches[i].end()) continue;
      unchanged.Remove(i);
      BranchSet one(size_, false);
      one.Add(i);
      add(change->second, one);
    }
    if (const auto entry = fork_.base.find(key); entry != fork_.base.end()) add(entry->second, unchanged);
  }

  /// Each event of the values' auth chains, with the branches in whose chain it is. From the values downwards, an event
  /// again whenever it is found in the chain of further branches.
  std::map<const Event*, BranchSet, ByEventId> Chains() {
    std::map<const Event*, BranchSet, ByEventId> held, chains;
    std::deque<const Event*> pending;
    EventSet queued;
    const auto hold = [&](const Event* event, const BranchSet& branches) {
      if (held.try_emplace(event, size_, false).first->second.Add(branches) && queued.insert(event).second) {
        pending.push_back(event);
      }
    };
    for (const auto& [key, of_key] : values_) {
      for (const auto& [event, branches] : of_key) hold(event, branches);
    }
    while (!pending.empty()) {
      const Event* next = pending.front();
      pending.pop_front();
      queued.erase(next);
      const BranchSet branches = held.at(next);
      for (const Event* auth : graph_.AuthEventsOf(*next)) {
        chains.try_emplace(auth, size_, false).first->second.Add(branches);
        hold(auth, branches);
      }
    }
    return chains;
  }

  void AddAuthDifference(Conflict& conflict) {
    const BranchSet all(size_, true);
    for (const auto& [event, branches] : Chains()) {
      if (branches == all || conflict.conflicted.contains(event)) continue;
      const auto told = fork_.reached.find(event->event_id());
      if (told == fork_.reached.end()) {
        graph_.Give(
            Refuse(Reason::kStateUnresolved,
                   fmt::format("it is not told whether all branches have {} in their auth chains", event->event_id())));
        return;
      }
      if (!told->second) conflict.auth_difference.insert(event);
    }
  }

  const ForkedState& fork_;
  ResolutionGraph& graph_;
  const std::size_t size_;
  std::map<StateKey, ValuesOfKey> values_;
  EventState agreed_;
};

}  // namespace

absl::StatusOr<StateMap> ResolveFork(const ForkedState& fork, const ResolutionEvents& events, const RoomRules& rules,
                                     std::size_t budget) {
  if (fork.branches.empty()) return Refuse(Reason::kInvalidArgument, "a fork has at least one branch");
  ResolutionGraph graph(events, budget);
  Fork looked_up(fork, graph);
  if (!graph.trouble().ok()) return graph.trouble();
  EventState resolved;
  if (rules.state_resolution == StateResolution::kV1) {
    resolved = ResolveByDepth(looked_up.AllValues(), graph);
  } else {
    const Conflict conflict = looked_up.InDispute();
    resolved = ResolveByPower(conflict, graph, rules.state_resolution == StateResolution::kV2_1);
  }
  if (!graph.trouble().ok()) return graph.trouble();
  return looked_up.AnswerFrom(resolved);
}

}  // namespace postern::matrix
