#include "services/gateway/join_answer.h"

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "matrix/canonical_json.h"
#include "matrix/content_hash.h"
#include "matrix/refusal.h"

namespace postern::gateway {
namespace {

using matrix::Reason;
using matrix::Refuse;

constexpr std::size_t kMostAuthEvents = 1'000'000;
constexpr int kEventsAtOnce = 500;
constexpr int kServersAtOnce = 1000;
/// Of ids that have been written, kept before they are cut off.
constexpr std::size_t kMostDoneBytes = 1024 * 1024;
constexpr absl::Duration kPageTime = absl::Seconds(20);

class StreamedAnswer : public http::BodySource, public std::enable_shared_from_this<StreamedAnswer> {
 public:
  StreamedAnswer(std::shared_ptr<JoinAnswer> answer, rpc::WorkerPool& readers, telemetry::TraceContext trace,
                 absl::Time made_until)
      : answer_(std::move(answer)), readers_(readers), trace_(std::move(trace)), made_until_(made_until) {}

  void Next(Give give) override {
    auto read = [self = shared_from_this(), give] { give(self->Read()); };
    if (!readers_.Post(std::move(read))) give(Refuse(Reason::kOverloaded, "nobody reads the rest of the answer"));
  }

 private:
  absl::StatusOr<std::string> Read() {
    const absl::Time now = absl::Now();
    if (now >= made_until_) return Refuse(Reason::kDeadlineExceeded, "the answer was read too slowly");
    return answer_->Next({std::min(now + kPageTime, made_until_), telemetry::ChildOf(trace_)});
  }

  const std::shared_ptr<JoinAnswer> answer_;
  rpc::WorkerPool& readers_;
  const telemetry::TraceContext trace_;
  const absl::Time made_until_;
};

}  // namespace

JoinAnswer::JoinAnswer(StoreClient& store, JoinedRoom room) : store_(store), room_(std::move(room)) {}

absl::StatusOr<std::string> JoinAnswer::Next(const rpc::CallContext& call) {
  std::string json;
  while (json.empty() && part_ != Part::kEnd) {
    absl::Status status;
    switch (part_) {
      case Part::kEvent:
        status = WriteEvent(call, json);
        break;
      case Part::kState:
        status = WriteState(call, json);
        break;
      case Part::kAuthChain:
        status = WriteAuthChain(call, json);
        break;
      case Part::kServers:
        status = WriteServers(call, json);
        break;
      case Part::kEnd:
        break;
    }
    if (!status.ok()) return status;
  }
  return json;
}

absl::Status JoinAnswer::WriteEvent(const rpc::CallContext& call, std::string& json) {
  store::v1::GetRoomEventsRequest read;
  read.set_room_id(room_.room_id);
  read.add_event_ids(room_.event_id);
  const auto answer = store_.GetRoomEvents(call, read);
  if (!answer.ok()) return answer.status();
  if (answer->events().empty()) return Refuse(Reason::kUnknownEvent, "the room has no such event");
  if (absl::Status status = Follow(answer->events(0)); !status.ok()) return status;
  json += room_.in_array ? "[200,{" : "{";
  json += "\"event\":" + answer->events(0).pdu();
  json += room_.omit_members ? ",\"members_omitted\":true" : ",\"members_omitted\":false";
  json += ",\"origin\":" + matrix::CanonicalJson(matrix::Json(room_.server_name));
  json += ",\"state\":[";
  part_ = Part::kState;
  return absl::OkStatus();
}

absl::Status JoinAnswer::WriteState(const rpc::CallContext& call, std::string& json) {
  store::v1::GetStatePageRequest read;
  read.set_room_id(room_.room_id);
  read.set_event_id(room_.event_id);
  read.set_without_members(room_.omit_members);
  if (place_) *read.mutable_place() = *place_;
  const auto page = store_.GetStatePage(call, read);
  if (!page.ok()) return page.status();
  for (const store::v1::RoomEvent& event : page->events()) {
    WriteItem(event.pdu(), json);
    if (room_.omit_members) told_.insert(HashOf(event.event_id()));
    if (absl::Status status = Follow(event); !status.ok()) return status;
  }
  if (page->has_next()) {
    place_ = page->next();
    return absl::OkStatus();
  }
  LeaveOutWhatIsTold();
  json += "],\"auth_chain\":[";
  first_item_ = true;
  part_ = Part::kAuthChain;
  return absl::OkStatus();
}

absl::Status JoinAnswer::WriteAuthChain(const rpc::CallContext& call, std::string& json) {
  store::v1::GetRoomEventsRequest read;
  read.set_room_id(room_.room_id);
  for (std::size_t at = next_pending_; at < pending_.size() && read.event_ids_size() < kEventsAtOnce;) {
    read.add_event_ids(PendingAt(at));
    at += 1 + read.event_ids(read.event_ids_size() - 1).size();
  }
  if (read.event_ids().empty()) {
    json += "],\"servers_in_room\":[";
    first_item_ = true;
    pending_ = {};
    part_ = Part::kServers;
    return absl::OkStatus();
  }
  const auto answer = store_.GetRoomEvents(call, read);
  if (!answer.ok()) return answer.status();
  if (answer->looked_at() == 0) return Refuse(Reason::kStoreDown, "the store gave no answer that is known");
  for (std::uint32_t i = 0; i < answer->looked_at(); ++i) next_pending_ += 1 + PendingAt(next_pending_).size();
  for (const store::v1::RoomEvent& event : answer->events()) {
    WriteItem(event.pdu(), json);
    if (absl::Status status = Follow(event); !status.ok()) return status;
  }
  if (next_pending_ > kMostDoneBytes) {
    pending_.erase(0, next_pending_);
    next_pending_ = 0;
  }
  return absl::OkStatus();
}

absl::Status JoinAnswer::WriteServers(const rpc::CallContext& call, std::string& json) {
  store::v1::ListRoomServersRequest read;
  read.set_room_id(room_.room_id);
  read.set_after(last_server_);
  read.set_not_for(room_.user);
  const auto answer = store_.ListRoomServers(call, read);
  if (!answer.ok()) return answer.status();
  for (const std::string& server : answer->server_names()) {
    WriteItem(matrix::CanonicalJson(matrix::Json(server)), json);
    last_server_ = server;
  }
  if (answer->server_names_size() >= kServersAtOnce) return absl::OkStatus();
  json += room_.in_array ? "]}]" : "]}";
  part_ = Part::kEnd;
  return absl::OkStatus();
}

void JoinAnswer::WriteItem(std::string_view item, std::string& json) {
  if (!first_item_) json += ',';
  first_item_ = false;
  json += item;
}

absl::Status JoinAnswer::Follow(const store::v1::RoomEvent& event) {
  for (const std::string& id : event.auth_events()) {
    if (id.size() > UINT8_MAX) continue;
    const absl::uint128 hash = HashOf(id);
    if (!told_.contains(hash) && seen_.insert(hash).second) Await(id);
  }
  if (seen_.size() <= kMostAuthEvents) return absl::OkStatus();
  return Refuse(Reason::kAnswerTooLarge, "the auth chain is too long");
}

void JoinAnswer::Await(std::string_view event_id) {
  pending_ += static_cast<char>(static_cast<unsigned char>(event_id.size()));
  pending_ += event_id;
}

std::string JoinAnswer::PendingAt(std::size_t place) const {
  return pending_.substr(place + 1, static_cast<unsigned char>(pending_[place]));
}

/// What an event cites may come after it in the state.
void JoinAnswer::LeaveOutWhatIsTold() {
  if (told_.empty()) return;
  const std::string all = std::exchange(pending_, {});
  for (std::size_t at = 0; at < all.size(); at += 1 + static_cast<unsigned char>(all[at])) {
    const std::string_view id = std::string_view(all).substr(at + 1, static_cast<unsigned char>(all[at]));
    if (!told_.contains(HashOf(id))) Await(id);
  }
}

absl::uint128 JoinAnswer::HashOf(std::string_view event_id) {
  const std::string hash = matrix::Sha256(event_id);
  std::uint64_t high = 0, low = 0;
  for (std::size_t i = 0; i < 8; ++i) {
    high = high << 8U | static_cast<unsigned char>(hash[i]);
    low = low << 8U | static_cast<unsigned char>(hash[i + 8]);
  }
  return absl::MakeUint128(high, low);
}

std::shared_ptr<http::BodySource> StreamJoinAnswer(std::shared_ptr<JoinAnswer> answer, rpc::WorkerPool& readers,
                                                   telemetry::TraceContext trace, absl::Time made_until) {
  return std::make_shared<StreamedAnswer>(std::move(answer), readers, std::move(trace), made_until);
}

}  // namespace postern::gateway
