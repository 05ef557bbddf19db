#include "services/gateway/send_route.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "matrix/canonical_json.h"
#include "matrix/event_id.h"
#include "matrix/identifiers.h"
#include "matrix/refusal.h"
#include "matrix/signature.h"
#include "rpc/outcome.h"
#include "services/gateway/refusal_response.h"
#include "services/gateway/room_access.h"
#include "telemetry/log.h"

namespace postern::gateway {
namespace {

using matrix::Event;
using matrix::Json;
using matrix::JsonObject;
using matrix::Reason;
using matrix::Refuse;
using matrix::RoomRules;
using matrix::v1::Outcome;
using store::v1::EventContext;

constexpr std::size_t kLongestTransactionId = 255;
/// By whose rules the id of an event is told whose room's are not known: most events have the same by all of them.
constexpr std::string_view kLikelyVersion = "11";

/// Trouble of this server that passes: the transaction is to come again.
bool EndsTransaction(const absl::Status& status) {
  switch (matrix::ReasonOf(status)) {
    case Reason::kStoreDown:
    case Reason::kValidatorDown:
    case Reason::kOverloaded:
    case Reason::kRoomBusy:
    case Reason::kDeadlineExceeded:
    case Reason::kCancelled:
      return true;
    default:
      return false;
  }
}

const std::string* StringAt(const JsonObject& object, std::string_view name) {
  const Json* value = object.Find(name);
  return value == nullptr ? nullptr : value->AsString();
}

/// "" where it has none.
std::string IdOf(const JsonObject& pdu, const RoomRules* rules) {
  const std::string* carried = StringAt(pdu, "event_id");
  if (rules == nullptr && carried != nullptr && matrix::IsEventId(*carried)) return *carried;
  std::string id = matrix::ComputeEventId(pdu, rules == nullptr ? *matrix::FindRoomRules(kLikelyVersion) : *rules);
  return matrix::IsEventId(id) ? id : "";
}

}  // namespace

/// A transaction's place among those of this gateway that are under way; none where it is there already.
class SendRoute::UnderWay {
 public:
  UnderWay(SendRoute& route, std::pair<std::string, std::string> name) : route_(route), name_(std::move(name)) {
    const std::lock_guard lock(route_.mutex_);
    had_ = route_.under_way_.insert(name_).second;
  }
  ~UnderWay() {
    if (!had_) return;
    const std::lock_guard lock(route_.mutex_);
    route_.under_way_.erase(name_);
  }
  UnderWay(const UnderWay&) = delete;
  UnderWay& operator=(const UnderWay&) = delete;
  bool had() const { return had_; }

 private:
  SendRoute& route_;
  const std::pair<std::string, std::string> name_;
  bool had_ = false;
};

/// One transaction's PDUs.
class SendRoute::Passage {
 public:
  Passage(SendRoute& route, const AuthenticRequest& request)
      : route_(route),
        services_(route.services_),
        request_(request),
        exchange_(request.exchange()),
        keys_until_(std::min(exchange_.received_at() + route.limits_.for_keys, exchange_.call().deadline)),
        gaps_until_(absl::Now() + route.limits_.for_gaps),
        gaps_left_(route.limits_.gaps) {}

  /// The answer. Refuses: what ends a transaction.
  absl::StatusOr<std::string> TakeAll(matrix::JsonArray pdus) {
    for (Json& json : pdus) {
      if (absl::Status status = Read(std::move(json)); !status.ok()) return status;
    }
    for (const Pdu& pdu : pdus_) {
      route_.intake_.AskForKeys(pdu.event.json(), pdu.event.rules(), exchange_.request().remote_address);
    }
    for (const Pdu& pdu : pdus_) {
      const auto outcome = Take(pdu.event, *pdu.room);
      if (EndsTransaction(outcome.status())) return outcome.status();
      Note(pdu.event.event_id(), pdu.event.room_id(), outcome);
    }
    JsonObject answer;
    answer.Set("pdus", std::move(results_));
    return matrix::CanonicalJson(answer);
  }

  /// Whether there was an event of a room that takes what the origin sends.
  bool has_concerned_us() const { return !pdus_.empty() || has_withdrawn_; }

 private:
  struct Room {
    absl::Status refused;
    const RoomRules* rules = nullptr;
    bool gap_stays = false;
  };
  struct Pdu {
    Event event;
    Room* room;
  };

  /// Keeps what reads as an event of a room that takes it, and answers the rest. Refuses: what ends a transaction.
  absl::Status Read(Json json) {
    if (json.AsObject() == nullptr) {
      Note("", "", Refuse(Reason::kBadFormat, "a PDU is an object"));
      return absl::OkStatus();
    }
    json.AsObject()->Erase("unsigned");  // nothing that a stranger may tell us about itself (pitfall J11)
    const std::string* named = StringAt(*json.AsObject(), "room_id");
    const std::string room_id = named != nullptr && matrix::IsRoomId(*named) ? *named : "";
    Room& room = RoomOf(room_id, *json.AsObject());
    if (EndsTransaction(room.refused)) return room.refused;
    if (matrix::ReasonOf(room.refused) == Reason::kUnknownRoom) {
      const absl::Status status = Withdraw(*json.AsObject(), room_id);
      if (status.ok() || EndsTransaction(status)) return status;
    }
    const std::string event_id = IdOf(*json.AsObject(), room.rules);
    if (!room.refused.ok()) {
      Note(event_id, room_id, room.refused);
      return absl::OkStatus();
    }
    auto event = Event::FromJson(std::move(json), *room.rules);
    if (!event.ok()) {
      Note(event_id, room_id, event.status());
      return absl::OkStatus();
    }
    pdus_.push_back({*std::move(event), &room});
    return absl::OkStatus();
  }

  /// A leave by which an invite to a room that is not here is taken back. Not OK: it is no such thing, or that is not
  /// known.
  absl::Status Withdraw(const JsonObject& pdu, const std::string& room_id) {
    if (route_.withdrawn_ == nullptr || !route_.withdrawn_->MayBeOne(pdu)) {
      return Refuse(Reason::kUnknownRoom, "not about an invite");
    }
    const auto event_id =
        route_.withdrawn_->Take(exchange_.call(), pdu, exchange_.request().remote_address, keys_until_);
    if (!event_id.ok()) return event_id.status();
    has_withdrawn_ = true;
    Note(*event_id, room_id, Outcome::OUTCOME_ACCEPTED);
    return absl::OkStatus();
  }

  Room& RoomOf(const std::string& room_id, const JsonObject& pdu) {
    const auto [place, is_new] = rooms_.try_emplace(room_id);
    Room& room = place->second;
    if (!is_new) return room;
    if (room_id.empty()) {
      room.refused = Refuse(Reason::kBadFormat, "'room_id' must be a room id");
      return room;
    }
    const std::string* sender = StringAt(pdu, "sender");
    room.refused = LookAt(room, room_id, sender == nullptr ? "" : *sender);
    return room;
  }

  /// Row 8 of "Answers of send_leave", and that a user of this server is in the room.
  absl::Status LookAt(Room& room, const std::string& room_id, const std::string& user_id) {
    store::v1::GetTemplateContextRequest question;
    question.set_room_id(room_id);
    question.set_user_id(user_id);
    question.add_state_keys()->set_type("m.room.server_acl");
    const auto context = services_.store.GetTemplateContext(exchange_.call(), question);
    if (!context.ok()) return context.status();
    const auto rules = RulesOfRoom(context->judging());
    if (!rules.ok()) return rules.status();
    room.rules = *rules;
    if (absl::Status status = services_.access.Check(context->judging(), request_.origin()); !status.ok())
      return status;
    if (!context->resident()) return Refuse(Reason::kUnknownRoom, "no user of this server is in the room");
    services_.key_ring.Keep(request_.origin());
    return absl::OkStatus();
  }

  absl::StatusOr<Outcome> Take(const Event& event, Room& room) {
    const std::string pdu = matrix::CanonicalJson(event.json());
    IncomingEvent incoming = IncomingOf(event, pdu, request_.origin());
    incoming.origin_keys = request_.origin_keys();
    incoming.client_address = exchange_.request().remote_address;
    incoming.received_at = exchange_.received_at();
    incoming.keys_until = keys_until_;
    incoming.told_by_origin = true;
    incoming.check = [&](const EventContext& context, const RoomRules& rules) { return Check(event, context, rules); };
    incoming.fetch_missing = [&](const EventContext& context, const RoomRules& rules) {
      return Fetch(incoming, room, context, rules);
    };
    std::string verdict;
    const auto outcome = route_.intake_.Take(exchange_.call(), incoming, verdict);
    if (!outcome.ok()) return outcome;
    if (const auto sender = matrix::UserId::Parse(event.sender()); sender.ok()) {
      services_.key_ring.Keep(sender->server());
    }
    return outcome;
  }

  /// The ACL as it is now, and whether this very copy is stored already: an unsigned one is not (pitfall A01).
  absl::StatusOr<std::optional<Outcome>> Check(const Event& event, const EventContext& context,
                                               const RoomRules& rules) {
    if (absl::Status status = services_.access.Check(context.judging(), request_.origin()); !status.ok()) return status;
    const auto existing = StoredAlready(event.json(), context, rules);
    if (!existing.ok()) return existing.status();
    if (*existing == nullptr) return std::nullopt;
    const auto stored = matrix::ParseJson((*existing)->pdu());  // has been read before: it is an object
    const std::string server(matrix::DomainOf(event.sender()));
    if (SameSignatures(event.json(), *stored->AsObject(), server)) return (*existing)->outcome();
    if (rules.event_id_format == matrix::EventIdFormat::kCarried) {
      return Refuse(Reason::kEventIdTaken, "the event is known with other signatures");
    }
    return std::nullopt;
  }

  absl::StatusOr<bool> Fetch(const IncomingEvent& incoming, Room& room, const EventContext& context,
                             const RoomRules& rules) {
    if (route_.missing_events_ == nullptr || room.gap_stays || gaps_left_ == 0) return false;
    --gaps_left_;
    const auto fetched = route_.missing_events_->Fetch(exchange_.call(), incoming, context, rules, gaps_until_);
    room.gap_stays = fetched.ok() && !*fetched;
    return fetched;
  }

  /// Adds the answer for one PDU. One that has no id has none either: answers are told by ids.
  void Note(const std::string& event_id, const std::string& room_id, const absl::StatusOr<Outcome>& outcome) {
    const std::string_view reason = matrix::RefusalOf(matrix::ReasonOf(outcome.status())).name;
    services_.metrics.Count("postern_gateway_received_pdus_total",
                            {{"result", outcome.ok() ? rpc::OutcomeName(*outcome) : reason}});
    if (!outcome.ok()) {
      telemetry::Log(telemetry::Level::kInfo, "pdu refused",
                     {{"trace_id", exchange_.call().trace.trace_id},
                      {"origin", request_.origin().text()},
                      {"room_id", room_id},
                      {"event_id", event_id},
                      {"reason", reason},
                      {"detail", matrix::DetailOf(outcome.status())}});
    }
    if (event_id.empty()) return;
    // Of several copies the good one counts.
    if (outcome.ok()) {
      results_.Set(event_id, JsonObject());
    } else if (!results_.Contains(event_id)) {
      JsonObject error;
      error.Set("error", RefusalText(outcome.status()));
      results_.Set(event_id, std::move(error));
    }
  }

  SendRoute& route_;
  const IntakeServices& services_;
  const AuthenticRequest& request_;
  Exchange& exchange_;
  const absl::Time keys_until_;
  const absl::Time gaps_until_;
  int gaps_left_;
  bool has_withdrawn_ = false;
  std::map<std::string, Room> rooms_;
  std::vector<Pdu> pdus_;
  JsonObject results_;
};

SendRoute::SendRoute(IntakeServices services, MissingEvents* missing_events, SendLimits limits,
                     WithdrawnInvites* withdrawn)
    : services_(services),
      missing_events_(missing_events),
      limits_(limits),
      withdrawn_(withdrawn),
      intake_(std::move(services)) {}

absl::StatusOr<http::Response> SendRoute::Handle(AuthenticRequest request) {
  const Exchange& exchange = request.exchange();
  const std::string& transaction_id = exchange.path_arguments()[0];
  if (transaction_id.size() > kLongestTransactionId) {
    return Refuse(Reason::kInvalidArgument, "the transaction id is over 255 bytes");
  }
  auto transaction = ReadTransaction(*request.content()->AsObject(), request.origin());
  if (!transaction.ok()) return transaction.status();
  const auto count = [this](std::string_view result) {
    services_.metrics.Count("postern_gateway_received_transactions_total", {{"result", result}});
  };
  const UnderWay under_way(*this, {request.origin().text(), transaction_id});
  if (!under_way.had()) {
    count("under_way");
    return RefuseUntil(Reason::kOverloaded, "this transaction is under way", absl::Seconds(5));
  }
  const auto answered = [](std::string body) {
    return http::Response{.status = 200, .headers = {}, .body = std::move(body)};
  };
  if (transaction->pdus.empty()) {  // nothing that a repeat could do twice
    for (const auto& [kind, number] : transaction->edus) CountEdus(kind, number);
    count("done");
    return answered(R"({"pdus":{}})");
  }
  store::v1::GetReceivedTransactionRequest known;
  known.set_origin(request.origin().text());
  known.set_transaction_id(transaction_id);
  const auto before = services_.store.GetReceivedTransaction(exchange.call(), known);
  if (!before.ok()) return before.status();
  if (before->has_answer()) {
    count("repeat");
    return answered(before->answer());
  }
  for (const auto& [kind, number] : transaction->edus) CountEdus(kind, number);
  Passage passage(*this, request);
  auto answer = passage.TakeAll(std::move(transaction->pdus));
  count(answer.ok() ? "done" : "broken_off");
  if (!answer.ok()) return answer.status();
  // A stranger's makes the store write nothing.
  if (!passage.has_concerned_us()) return answered(*std::move(answer));
  return answered(Keep(exchange.call(), known, *std::move(answer)));
}

void SendRoute::CountEdus(std::string_view kind, std::size_t number) {
  services_.metrics.Count("postern_gateway_received_edus_total", {{"kind", kind}}, static_cast<double>(number));
}

std::string SendRoute::Keep(const rpc::CallContext& call, const store::v1::GetReceivedTransactionRequest& transaction,
                            std::string answer) {
  store::v1::KeepReceivedTransactionRequest keep;
  keep.set_origin(transaction.origin());
  keep.set_transaction_id(transaction.transaction_id());
  keep.set_answer(answer);
  auto kept = services_.store.KeepReceivedTransaction(call, keep);
  if (kept.ok()) return kept->answer();  // of whichever gateway was first
  // What it says is committed all the same; a repeat finds that.
  telemetry::Log(telemetry::Level::kWarning, "the answer to a transaction was not kept",
                 {{"origin", keep.origin()}, {"detail", matrix::DetailOf(kept.status())}});
  return answer;
}

}  // namespace postern::gateway
