#include "services/gateway/extremity_chain.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>

namespace postern::gateway {

ExtremityChain::ExtremityChain(const std::vector<Tip>& tips, std::size_t few)
    : left_(tips.begin(), tips.end()), was_given_all_(tips.size() < kMostCited), few_(few) {}

std::vector<ExtremityChain::Tip> ExtremityChain::Next() const {
  if (events_ == kMostEvents || left_.size() <= few_) return {};
  return {left_.begin(), left_.begin() + CitedByOne()};
}

void ExtremityChain::Append(Tip event) {
  left_.erase(left_.begin(), left_.begin() + CitedByOne());
  left_.push_front(std::move(event));
  ++events_;
}

std::ptrdiff_t ExtremityChain::CitedByOne() const {
  return static_cast<std::ptrdiff_t>(std::min(matrix::kMaxPrevEvents, left_.size()));
}

std::vector<ExtremityChain::Tip> TipsOf(const store::v1::TemplateContext& context) {
  std::map<std::string_view, std::string_view> pdus;
  for (const auto& event : context.judging().events()) pdus.emplace(event.event_id(), event.pdu());
  std::vector<ExtremityChain::Tip> tips;
  for (int i = 0; i < context.prev_depths_size(); ++i) {
    const std::string& id = context.judging().prev_events(i).event_id();
    const auto pdu = pdus.find(id);
    tips.push_back({{id, std::string(pdu == pdus.end() ? "" : pdu->second)}, context.prev_depths(i)});
  }
  return tips;
}

void PlaceBehind(const std::vector<ExtremityChain::Tip>& cited, const matrix::RoomRules& rules, EventPlace& place) {
  place.prev_events.clear();
  std::int64_t depth = 0;
  for (const ExtremityChain::Tip& tip : cited) {
    place.prev_events.push_back(tip.event);
    depth = std::max(depth, tip.depth);
  }
  place.depth = DepthAfter(depth, rules);
}

}  // namespace postern::gateway
