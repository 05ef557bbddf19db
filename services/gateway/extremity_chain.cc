#include "services/gateway/extremity_chain.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>

namespace postern::gateway {

ExtremityChain::ExtremityChain(std::vector<Tip> tips, std::size_t few) : tips_(std::move(tips)), few_(few) {}

std::vector<ExtremityChain::Tip> ExtremityChain::Next() const {
  std::vector<Tip> cited;
  if (events_ == kMostEvents || left() <= few_) return cited;
  if (last_) cited.push_back(*last_);
  const std::size_t count = std::min(matrix::kMaxPrevEvents - cited.size(), tips_.size() - cited_);
  const auto first = tips_.begin() + static_cast<std::ptrdiff_t>(cited_);
  cited.insert(cited.end(), first, first + static_cast<std::ptrdiff_t>(count));
  return cited;
}

void ExtremityChain::Append(Tip event) {
  cited_ += matrix::kMaxPrevEvents - (last_ ? 1 : 0);
  cited_ = std::min(cited_, tips_.size());
  last_ = std::move(event);
  ++events_;
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
