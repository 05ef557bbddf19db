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
  if (event->is_state() && event->type() != "m.room.member") Keep(name, {.pdu = pdu, .event = event});
  return event;
}

std::shared_ptr<const matrix::Event> RecurringEvents::Find(const std::string& name, const std::string& pdu,
                                                           const matrix::RoomRules& rules) {
  const std::lock_guard lock(mutex_);
  const Known* known = events_.Find(name);
  if (known == nullptr || &known->event->rules() != &rules || known->pdu != pdu) return nullptr;
  return known->event;
}

void RecurringEvents::Keep(const std::string& name, Known known) {
  const std::size_t bytes = known.pdu.size();
  if (bytes > limits_.most_bytes) return;
  const std::lock_guard lock(mutex_);
  if (const auto before = events_.Take(name)) bytes_ -= before->pdu.size();
  while (events_.size() >= limits_.most || bytes_ + bytes > limits_.most_bytes) {
    const auto oldest = events_.TakeOldest();
    if (!oldest) return;
    bytes_ -= oldest->pdu.size();
  }
  bytes_ += bytes;
  events_.Put(name, std::move(known));
}

std::size_t RecurringEvents::size() const {
  const std::lock_guard lock(mutex_);
  return events_.size();
}

}  // namespace postern::validator
