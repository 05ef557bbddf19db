#include "services/validator/recurring_events.h"

#include <utility>

namespace postern::validator {

absl::StatusOr<std::shared_ptr<const matrix::Event>> RecurringEvents::Read(const std::string& name,
                                                                           const std::string& pdu,
                                                                           const matrix::RoomRules& rules) {
  if (auto known = Find(name, pdu, rules)) return known;
  auto parsed = matrix::Event::Parse(pdu, rules);
  if (!parsed.ok()) return parsed.status();
  auto event = std::make_shared<const matrix::Event>(*std::move(parsed));
  if (event->is_state() && event->type() != "m.room.member") {
    const std::lock_guard lock(mutex_);
    events_.Put(name, {.pdu = pdu, .event = event}, pdu.size());
  }
  return event;
}

std::shared_ptr<const matrix::Event> RecurringEvents::Find(const std::string& name, const std::string& pdu,
                                                           const matrix::RoomRules& rules) {
  const std::lock_guard lock(mutex_);
  const Known* known = events_.Find(name);
  if (known == nullptr || &known->event->rules() != &rules || known->pdu != pdu) return nullptr;
  return known->event;
}

std::size_t RecurringEvents::size() const {
  const std::lock_guard lock(mutex_);
  return events_.size();
}

}  // namespace postern::validator
