#include "services/store/context_rows.h"

#include <algorithm>
#include <utility>

namespace postern::store {
namespace {

std::size_t ReadSize(std::string_view& bytes) {
  std::uint32_t size = 0;
  for (const char byte : bytes.substr(0, 4)) size = size << 8 | static_cast<unsigned char>(byte);
  bytes.remove_prefix(std::min<std::size_t>(bytes.size(), 4));
  return size;
}

}  // namespace

/// Three words, its size, its lower bound; then each item after its size.
std::vector<std::string> DecodeArray(std::string_view array) {
  std::vector<std::string> items;
  array.remove_prefix(std::min<std::size_t>(array.size(), 20));
  while (!array.empty()) {
    const std::size_t size = ReadSize(array);
    items.emplace_back(array.substr(0, size));
    array.remove_prefix(std::min(array.size(), size));
  }
  return items;
}

void DecodeEntry(const Rows& rows, std::size_t row, matrix::v1::StateEntry& entry) {
  entry.set_event_id(rows.Bytes(row, kId));
  entry.set_type(rows.Bytes(row, kA));
  entry.set_state_key(rows.Bytes(row, kB));
}

RememberedEntry DecodeRememberedEntry(const Rows& rows, std::size_t row) {
  return {.type = rows.Bytes(row, kA),
          .state_key = rows.Bytes(row, kB),
          .event_id = rows.Bytes(row, kId),
          .since = rows.Integer(row, kN1)};
}

RememberedEvent DecodeRememberedEvent(const Rows& rows, std::size_t row) {
  RememberedEvent event{.event_id = rows.Bytes(row, kId),
                        .pdu = rows.Bytes(row, kA),
                        .soft_failed = rows.Boolean(row, kF2),
                        .group_after = {},
                        .fixed = rows.Integer(row, kN2)};
  if (!rows.IsNull(row, kN1)) event.group_after = rows.Integer(row, kN1);
  return event;
}

ContextDecoder::ContextDecoder(const std::string& room_id) {
  context_.judging.set_room_id(room_id);
  context_.token.room_id = room_id;
}

void ContextDecoder::AddRoom(const Rows& rows, std::size_t row) {
  known_ = true;
  matrix::v1::JudgingContext& judging = context_.judging;
  judging.set_room_version(rows.Bytes(row, kA));
  judging.set_extends_all_extremities(rows.Boolean(row, kF1));
  context_.membership = rows.Bytes(row, kB);
  context_.resident = rows.Boolean(row, kF2);
  judging.set_states_diverge(rows.Boolean(row, kF3));
  context_.token.ordering = rows.Integer(row, kN1);
  if (!rows.IsNull(row, kN2)) context_.token.before = rows.Integer(row, kN2);
  context_.token.now = rows.Integer(row, kN3);
  context_.token.branching = {.extends_all_extremities = judging.extends_all_extremities(),
                              .states_diverge = judging.states_diverge()};
}

void ContextDecoder::AddStoredEvent(const Rows& rows, std::size_t row) {
  RememberedEvent event = DecodeRememberedEvent(rows, row);
  if (held_.contains(event.event_id)) return;
  matrix::v1::StoredEvent& stored = *context_.judging.add_events();
  stored.set_event_id(event.event_id);
  stored.set_pdu(event.pdu);
  stored.set_rejected(rows.Boolean(row, kF1));
  stored.set_soft_failed(event.soft_failed);
  held_.insert(stored.event_id());
  if (stored.soft_failed()) soft_failed_.insert(stored.event_id());
  if (rows.Boolean(row, kF3)) {
    outliers_.insert(stored.event_id());
  } else if (!rows.IsNull(row, kN2)) {  // a branch's events say less
    news_.events.push_back(std::move(event));
  }
}

void ContextDecoder::AddEntryNow(const Rows& rows, std::size_t row) {
  news_.entries.push_back(DecodeRememberedEntry(rows, row));
  if (!rows.IsNull(row, kId)) DecodeEntry(rows, row, *context_.judging.add_state_now());
}

void ContextDecoder::AddHead(const Rows& rows, std::size_t row) {
  has_head_ = true;
  news_.head = RoomHead{.moment = {.stored = rows.Integer(row, kN1), .lineages = rows.Integer(row, kN2)},
                        .accepted = context_.token.ordering,
                        .fixed = rows.Integer(row, kN3),
                        .group = context_.token.now,
                        .extremities = DecodeArray(rows.Bytes(row, kA))};
}

void ContextDecoder::Add(const Rows& rows, std::size_t row) {
  switch (rows.Text(row, kKind).front()) {
    case 'r':
      AddRoom(rows, row);
      break;
    case 'h':
      AddHead(rows, row);
      break;
    case 'p':
      context_.judging.add_prev_events()->set_event_id(rows.Bytes(row, kId));
      context_.prev_depths.push_back(rows.IsNull(row, kN2) ? 0 : rows.Integer(row, kN2));
      break;
    case 'b':
      DecodeEntry(rows, row, *context_.judging.add_state_before());
      break;
    case 'n':
      AddEntryNow(rows, row);
      break;
    case 'e':
      AddStoredEvent(rows, row);
      break;
    case 'f':
      refused_.insert(rows.Bytes(row, kId));
      break;
    case 'i':
      context_.token.extremities.push_back(rows.Bytes(row, kId));
      break;
    case 'm':
      if (!rows.IsNull(row, kN1)) context_.token.fixed = rows.Integer(row, kN1);
      context_.token.merged = rows.Boolean(row, kF1);
      given_before_ = rows.Boolean(row, kF2);
      break;
    case 'x':
      context_.existing.emplace();
      context_.existing->set_pdu(rows.Bytes(row, kA));
      context_.existing->set_outcome(static_cast<matrix::v1::Outcome>(rows.Integer(row, kN1)));
      context_.existing->set_reason(static_cast<matrix::v1::Reason>(rows.Integer(row, kN2)));
      break;
    default:
      branches_.Decode(rows, row);
      break;
  }
}

/// An outlier has no place in the graph: as a prev event it is not known, unless the state behind it was told.
void ContextDecoder::FindPrev(google::protobuf::RepeatedPtrField<matrix::v1::Reference>& references) const {
  for (matrix::v1::Reference& reference : references) {
    const bool held = held_.contains(reference.event_id()) && !outliers_.contains(reference.event_id());
    const bool refused = !held && refused_.contains(reference.event_id());
    reference.set_known(held || refused || given_before_);
    reference.set_rejected(refused);
  }
}

void ContextDecoder::FindAuth(google::protobuf::RepeatedPtrField<matrix::v1::Reference>& references) const {
  for (matrix::v1::Reference& reference : references) {
    const bool refused = refused_.contains(reference.event_id());
    reference.set_known(held_.contains(reference.event_id()) || refused);
    reference.set_rejected(refused);
  }
}

ContextRows ContextDecoder::Take() {
  matrix::v1::JudgingContext& judging = context_.judging;
  ContextToken& token = context_.token;
  FindPrev(*judging.mutable_prev_events());
  FindAuth(*judging.mutable_auth_events());
  token.no_soft_failed_prev = std::ranges::none_of(judging.prev_events(), [this](const matrix::v1::Reference& prev) {
    return soft_failed_.contains(prev.event_id());
  });
  branches_.MoveTo(judging);
  if (!token.merged && !token.before) {
    judging.set_state_before_unresolved(true);
    token.before = branches_.base();
  } else if (!token.merged && *token.before == token.now) {
    *judging.mutable_state_before() = judging.state_now();
  }
  if (has_head_) context_.news = std::move(news_);
  return std::move(context_);
}

}  // namespace postern::store
