#include "services/gateway/srv_order.h"

#include <algorithm>
#include <random>
#include <utility>

namespace postern::gateway {
namespace {

/// Moves the records in [begin, end), which have one priority, into the order in which they are drawn.
void Draw(std::vector<SrvRecord>::iterator begin, std::vector<SrvRecord>::iterator end, const Chance& chance) {
  // Weight 0 first, so that a draw of 0, and nothing else, picks one of those (RFC 2782, "Weight").
  std::stable_partition(begin, end, [](const SrvRecord& record) { return record.weight == 0; });
  std::uint32_t sum = 0;
  for (auto record = begin; record != end; ++record) sum += record->weight;
  for (auto next = begin; next != end; ++next) {
    const std::uint32_t drawn = chance(sum);
    std::uint32_t running = 0;
    const auto chosen =
        std::find_if(next, end, [&](const SrvRecord& record) { return (running += record.weight) >= drawn; });
    if (chosen == end) return;  // a chance beyond `most`
    sum -= chosen->weight;
    std::rotate(next, chosen, chosen + 1);  // the others keep their order
  }
}

}  // namespace

Chance FairChance() {
  return [](std::uint32_t most) {
    std::random_device source;
    return std::uniform_int_distribution<std::uint32_t>(0, most)(source);
  };
}

std::vector<SrvRecord> InOrderOfTrial(std::vector<SrvRecord> records, const Chance& chance) {
  std::ranges::stable_sort(records, {}, &SrvRecord::priority);
  for (auto begin = records.begin(); begin != records.end();) {
    const auto end =
        std::find_if(begin, records.end(), [&](const SrvRecord& record) { return record.priority != begin->priority; });
    Draw(begin, end, chance);
    begin = end;
  }
  return records;
}

}  // namespace postern::gateway
