#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <tuple>

#include "matrix/resolution_algorithms.h"

namespace postern::matrix {
namespace {

using Sha1 = std::array<unsigned char, 20>;

Sha1 Sha1Of(std::string_view text) {
  Sha1 digest{};
  EVP_Digest(text.data(), text.size(), digest.data(), nullptr, EVP_sha1(), nullptr);
  return digest;
}

/// Ascending depth, then descending sha1(event_id).
std::vector<const Event*> Ordered(const EventSet& events) {
  std::vector<std::tuple<std::int64_t, Sha1, const Event*>> keyed;
  for (const Event* event : events) keyed.emplace_back(event->depth(), Sha1Of(event->event_id()), event);
  std::ranges::sort(keyed, [](const auto& a, const auto& b) {
    if (std::get<0>(a) != std::get<0>(b)) return std::get<0>(a) < std::get<0>(b);
    return std::get<1>(a) > std::get<1>(b);
  });
  std::vector<const Event*> ordered;
  for (const auto& [depth, hash, event] : keyed) ordered.push_back(event);
  return ordered;
}

/// The earliest stands; each later one takes its place as long as the rules allow it there.
/// `resolved` is left as it was.
const Event* ResolveAuthKey(const StateKey& key, const EventSet& rivals, RoomState& resolved, ResolutionGraph& graph) {
  const std::vector<const Event*> ordered = Ordered(rivals);
  const Event* taken = ordered.front();
  resolved.Set(*taken);
  for (std::size_t i = 1; i < ordered.size() && graph.Allows(*ordered[i], resolved); ++i) {
    taken = ordered[i];
    resolved.Set(*taken);
  }
  resolved.Erase(key.type, key.state_key);
  return taken;
}

/// The latest that the rules allow; where they allow none, the earliest.
const Event* ResolveOtherKey(const EventSet& rivals, const RoomState& resolved, ResolutionGraph& graph) {
  const std::vector<const Event*> ordered = Ordered(rivals);
  for (auto event = ordered.rbegin(); event != ordered.rend(); ++event) {
    if (graph.Allows(**event, resolved)) return *event;
  }
  return ordered.front();
}

using IsOfPass = bool (*)(const StateKey& key);

/// Power levels under another state key than the empty one affect no rule, so they come with all others
/// (docs/decisions/0007).
constexpr std::array<IsOfPass, 3> kAuthPasses{
    [](const StateKey& key) { return key.type == "m.room.power_levels" && key.state_key.empty(); },
    [](const StateKey& key) { return key.type == "m.room.join_rules"; },
    [](const StateKey& key) { return key.type == "m.room.member"; },
};

}  // namespace

EventState ResolveByDepth(const EventValues& values, ResolutionGraph& graph) {
  RoomState resolved;
  for (const auto& [key, events] : values) {
    if (events.size() == 1) resolved.Set(**events.begin());
  }
  // Keys of one pass do not see each other's outcome: which of them comes first must not matter.
  for (const IsOfPass is_of_pass : kAuthPasses) {
    std::vector<const Event*> taken;
    for (const auto& [key, rivals] : values) {
      if (is_of_pass(key) && rivals.size() > 1) taken.push_back(ResolveAuthKey(key, rivals, resolved, graph));
    }
    for (const Event* event : taken) resolved.Set(*event);
  }
  // No other event affects the rules, so that these do not depend on each other.
  EventState result;
  for (const auto& [key, rivals] : values) {
    const Event* taken = resolved.Find(key.type, key.state_key);
    result.emplace(key, taken ? taken : ResolveOtherKey(rivals, resolved, graph));
  }
  return result;
}

}  // namespace postern::matrix
