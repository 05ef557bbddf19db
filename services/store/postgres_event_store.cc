#include "services/store/postgres_event_store.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <utility>

#include "absl/time/clock.h"
#include "matrix/refusal.h"
#include "services/store/context_rows.h"
#include "services/store/member_changes.h"
#include "services/store/statements.h"

namespace postern::store {
namespace {

using matrix::Reason;
using matrix::Refuse;

/// For how long after another store was found to write to the same rooms it is expected to do so again.
constexpr absl::Duration kOthersWrite = absl::Seconds(10);

absl::Status UnknownRoom() { return Refuse(Reason::kUnknownRoom, "the room is not known here"); }

template <typename Keys>
void AppendKeys(Parameters& parameters, const Keys& keys) {
  std::vector<std::string> types, state_keys;
  for (const matrix::v1::StateKey& key : keys) {
    types.push_back(key.type());
    state_keys.push_back(key.state_key());
  }
  parameters.BytesArray(types).BytesArray(state_keys);
}

/// The keys that a request for a context asks for, if it may be asked at all.
template <typename Request>
absl::StatusOr<std::vector<matrix::v1::StateKey>> CheckedKeys(const Request& request) {
  if (absl::Status status = CheckContextRequest(request); !status.ok()) return status;
  return WantedKeys(request.state_keys());
}

v1::EventContext AnswerOf(ContextRows context) {
  v1::EventContext answer;
  *answer.mutable_judging() = std::move(context.judging);
  answer.set_sender_membership(std::move(context.membership));
  if (context.existing) *answer.mutable_existing() = *std::move(context.existing);
  answer.set_token(EncodeToken(context.token));
  return answer;
}

/// The members that appended events end with: the last event of each user counts.
MemberChanges LastMembers(const std::vector<GivenEvent>& events) {
  std::map<std::string, const GivenEvent*> last;
  for (const GivenEvent& event : events) {
    if (event.columns.member) last[event.columns.state_key.value_or("")] = &event;
  }
  MemberChanges members;
  for (const auto& [user, event] : last) {
    if (const auto& member = event->columns.member) members.Add(user, event->event_id, *member);
  }
  return members;
}

/// What append_events takes, from p_origin on.
void AppendGivenEvents(Parameters& parameters, const std::string& server_name, const std::vector<GivenEvent>& events) {
  std::vector<std::string> ids, pdus, types, keys, senders, auth_ids;
  std::vector<std::optional<std::string>> prev;
  std::vector<std::optional<std::int64_t>> depths, timestamps, auth_places;
  for (const GivenEvent& event : events) {
    ids.push_back(event.event_id);
    pdus.push_back(*event.pdu);
    types.push_back(event.columns.type);
    keys.push_back(event.columns.state_key.value_or(""));  // all are of state
    senders.push_back(event.columns.sender);
    depths.emplace_back(event.columns.depth);
    timestamps.emplace_back(event.columns.origin_server_ts);
    prev.push_back(event.columns.prev_events.empty() ? std::nullopt : std::optional(event.columns.prev_events.front()));
    for (const std::string& id : event.columns.auth_events) {
      auth_ids.push_back(id);
      auth_places.emplace_back(static_cast<std::int64_t>(ids.size()));
    }
  }
  parameters.Bytes(server_name).Integer(absl::ToUnixMillis(absl::Now()));
  parameters.BytesArray(ids)
      .BytesArray(pdus)
      .BytesArray(types)
      .BytesArray(keys)
      .BytesArray(senders)
      .IntegerArray(depths)
      .IntegerArray(timestamps)
      .BytesArray(prev)
      .BytesArray(auth_ids)
      .IntegerArray(auth_places);
  LastMembers(events).AppendTo(parameters);
}

}  // namespace

/// One of several requests that are answered together.
struct PostgresEventStore::AskedContext {
  const v1::GetEventContextRequest* request;
  std::vector<matrix::v1::StateKey> keys;
  absl::StatusOr<v1::EventContext>* answer;
};

Parameters PostgresEventStore::ContextsParameters(std::span<const AskedContext> asked) {
  std::vector<std::string_view> rooms, events, senders, prev, auth, types, keys;
  std::vector<std::optional<std::int64_t>> prev_ends, auth_ends, key_ends;
  for (const AskedContext& one : asked) {
    rooms.push_back(one.request->room_id());
    events.push_back(one.request->event_id());
    senders.push_back(one.request->sender());
    prev.insert(prev.end(), one.request->prev_events().begin(), one.request->prev_events().end());
    prev_ends.emplace_back(static_cast<std::int64_t>(prev.size()));
    auth.insert(auth.end(), one.request->auth_events().begin(), one.request->auth_events().end());
    auth_ends.emplace_back(static_cast<std::int64_t>(auth.size()));
    for (const matrix::v1::StateKey& key : one.keys) {
      types.push_back(key.type());
      keys.push_back(key.state_key());
    }
    key_ends.emplace_back(static_cast<std::int64_t>(keys.size()));
  }
  Parameters parameters;
  parameters.BytesArray(rooms).BytesArray(events).BytesArray(senders);
  parameters.BytesArray(prev).IntegerArray(prev_ends).BytesArray(auth).IntegerArray(auth_ends);
  parameters.BytesArray(types).BytesArray(keys).IntegerArray(key_ends);
  return parameters;
}

PostgresEventStore::PostgresEventStore(ConnectionPool& pool, DatabaseWatch& watch, telemetry::Metrics& metrics,
                                       PostgresEventStoreOptions options)
    : pool_(pool),
      watch_(watch),
      metrics_(metrics),
      options_(std::move(options)),
      rooms_(options_.memory),
      seen_(static_cast<std::size_t>(options_.remote_servers_limit)) {}

absl::StatusOr<Rows> PostgresEventStore::CallOn(const ConnectionPool::Lease& lease, const Statement& statement,
                                                const Parameters& parameters) {
  const absl::Time begun = absl::Now();
  absl::StatusOr<Rows> rows = lease->Call(statement, parameters);
  metrics_.Observe("postern_store_transaction_seconds", absl::Now() - begun, {{"statement", statement.name}});
  if (!rows.ok() && lease->broken()) {
    watch_.Suspect();
    rooms_.ForgetAll();
  }
  return rows;
}

absl::StatusOr<Rows> PostgresEventStore::Read(const rpc::CallContext& call, const Statement& statement,
                                              const Parameters& parameters) {
  if (!watch_.ready()) return Refuse(Reason::kStoreDown, "PostgreSQL is not there, or its schema not up to date");
  for (bool fresh : {false, true}) {
    absl::StatusOr<ConnectionPool::Lease> lease = pool_.Take(call.deadline, statement, fresh);
    if (!lease.ok()) {
      if (matrix::ReasonOf(lease.status()) == Reason::kStoreDown) watch_.Suspect();
      return lease.status();
    }
    absl::StatusOr<Rows> rows = CallOn(*lease, statement, parameters);
    if (rows.ok() || !(*lease)->broken() || fresh) return rows;
  }
  return Refuse(Reason::kStoreDown, "PostgreSQL does not answer");
}

template <typename MakeParameters>
absl::StatusOr<Rows> PostgresEventStore::Write(const rpc::CallContext& call, const Statement& statement,
                                               MakeParameters parameters, bool in_doubt) {
  if (!in_doubt && !watch_.ready()) {
    return Refuse(Reason::kStoreDown, "PostgreSQL is not there, or its schema not up to date");
  }
  for (;;) {
    {
      absl::StatusOr<ConnectionPool::Lease> lease = pool_.Take(call.deadline, statement, in_doubt);
      if (lease.ok()) {
        absl::StatusOr<Rows> rows = CallOn(*lease, statement, parameters(in_doubt));
        if (rows.ok() && !(*lease)->warned()) return rows;
        if (!rows.ok() && !(*lease)->broken()) return rows.status();
        metrics_.Count("postern_store_commits_in_doubt_total");
        in_doubt = true;
      } else if (matrix::ReasonOf(lease.status()) == Reason::kStoreDown) {
        watch_.Suspect();
        if (!in_doubt) return lease.status();
      } else {
        return in_doubt ? Refuse(Reason::kStoreDown, "whether it was committed is not known") : lease.status();
      }
    }
    if (!watch_.WaitUntilReady(call.deadline) || absl::Now() >= call.deadline) {
      return Refuse(Reason::kStoreDown, "whether it was committed is not known");
    }
  }
}

absl::StatusOr<v1::EventContext> PostgresEventStore::GetEventContext(const rpc::CallContext& call,
                                                                     const v1::GetEventContextRequest& request) {
  const v1::GetEventContextRequest* const requests[] = {&request};
  return std::move(GetEventContexts(call, requests).front());
}

std::vector<absl::StatusOr<v1::EventContext>> PostgresEventStore::GetEventContexts(
    const rpc::CallContext& call, std::span<const v1::GetEventContextRequest* const> requests) {
  std::vector<absl::StatusOr<v1::EventContext>> answers(requests.size(), absl::InternalError("not answered"));
  std::vector<AskedContext> asked;
  asked.reserve(requests.size());
  for (std::size_t i = 0; i < requests.size(); ++i) {
    absl::StatusOr<std::vector<matrix::v1::StateKey>> keys = CheckedKeys(*requests[i]);
    if (!keys.ok()) {
      answers[i] = keys.status();
    } else if (requests[i]->with_branches()) {
      answers[i] = BranchedContext(call, *requests[i], *keys);
    } else {
      asked.push_back({requests[i], *std::move(keys), &answers[i]});
    }
  }
  if (!asked.empty()) AnswerContexts(call, asked);
  return answers;
}

absl::StatusOr<v1::EventContext> PostgresEventStore::Remembered(ContextDecoder& decoder, std::uint64_t generation) {
  if (!decoder.known()) return UnknownRoom();
  ContextRows context = decoder.Take();
  Remember(context, generation);
  return AnswerOf(std::move(context));
}

void PostgresEventStore::Remember(ContextRows& context, std::uint64_t generation) {
  if (!context.news) return;
  rooms_.Learn(context.judging.room_id(), context.judging.room_version(), *std::move(context.news), generation);
}

struct PostgresEventStore::AskedRest {
  AskedContext asked;
  Recollection recollection;
};

Parameters PostgresEventStore::RestsParameters(std::span<const AskedRest> asked) {
  std::vector<std::string_view> rooms, events, senders, types, keys, cited;
  std::vector<std::optional<std::int64_t>> stored, lineages, groups, key_places, cited_places;
  for (std::size_t i = 0; i < asked.size(); ++i) {
    const v1::GetEventContextRequest& request = *asked[i].asked.request;
    const Recollection& recollection = asked[i].recollection;
    const auto place = static_cast<std::int64_t>(i) + 1;
    rooms.push_back(request.room_id());
    events.push_back(request.event_id());
    senders.push_back(request.sender());
    stored.emplace_back(recollection.head.moment.stored);
    lineages.emplace_back(recollection.head.moment.lineages);
    groups.emplace_back(recollection.head.group);
    for (const matrix::v1::StateKey& key : recollection.unknown_keys) {
      key_places.emplace_back(place);
      types.push_back(key.type());
      keys.push_back(key.state_key());
    }
    cited.insert(cited.end(), recollection.unknown_events.begin(), recollection.unknown_events.end());
    cited_places.resize(cited.size(), place);
  }
  Parameters parameters;
  parameters.BytesArray(rooms).BytesArray(events).BytesArray(senders);
  parameters.IntegerArray(stored).IntegerArray(lineages).IntegerArray(groups);
  parameters.IntegerArray(key_places).BytesArray(types).BytesArray(keys);
  parameters.IntegerArray(cited_places).BytesArray(cited);
  return parameters;
}

void PostgresEventStore::AnswerContexts(const rpc::CallContext& call, std::span<const AskedContext> asked) {
  const std::uint64_t generation = rooms_.generation();
  std::vector<AskedRest> rests;
  std::vector<AskedContext> whole;
  for (const AskedContext& one : asked) {
    if (std::optional<Recollection> recollection = rooms_.Recall(*one.request, one.keys)) {
      rests.push_back({one, *std::move(recollection)});
    } else {
      whole.push_back(one);
    }
  }
  if (!rests.empty()) {
    std::vector<AskedContext> others = AnswerRests(call, std::move(rests), generation);
    whole.insert(whole.end(), std::make_move_iterator(others.begin()), std::make_move_iterator(others.end()));
  }
  if (!whole.empty()) AnswerWhole(call, whole);
}

std::vector<PostgresEventStore::AskedContext> PostgresEventStore::AnswerRests(const rpc::CallContext& call,
                                                                              std::vector<AskedRest> asked,
                                                                              std::uint64_t generation) {
  const absl::StatusOr<Rows> rows = Read(call, kContextRests, RestsParameters(asked));
  std::vector<RecalledContext> contexts;
  contexts.reserve(asked.size());
  for (AskedRest& one : asked) contexts.emplace_back(*one.asked.request, std::move(one.recollection));
  for (std::size_t row = 0; rows.ok() && row < rows->size(); ++row) {
    contexts[static_cast<std::size_t>(rows->Integer(row, kPlace)) - 1].Add(*rows, row);
  }
  std::vector<AskedContext> others;
  for (std::size_t i = 0; i < asked.size(); ++i) {
    if (!contexts[i].Complete() || rooms_.generation() != generation) {
      others.push_back(std::move(asked[i].asked));
      continue;
    }
    ContextRows context = contexts[i].Take();
    if (context.news) rooms_.Advance(context.judging.room_id(), contexts[i].recalled_at(), *std::move(context.news));
    *asked[i].asked.answer = AnswerOf(std::move(context));
  }
  return others;
}

void PostgresEventStore::AnswerWhole(const rpc::CallContext& call, std::span<const AskedContext> asked) {
  const std::uint64_t generation = rooms_.generation();
  const absl::StatusOr<Rows> rows = Read(call, kEventContexts, ContextsParameters(asked));
  if (!rows.ok() && asked.size() > 1 && matrix::ReasonOf(rows.status()) == Reason::kInternal) {
    // One of them is not to be answered: which one, only asking each tells.
    for (const AskedContext& one : asked) AnswerWhole(call, {&one, 1});
    return;
  }
  if (!rows.ok()) {
    for (const AskedContext& one : asked) *one.answer = rows.status();
    return;
  }
  std::vector<ContextDecoder> decoders;
  decoders.reserve(asked.size());
  for (const AskedContext& one : asked) {
    ContextDecoder& decoder = decoders.emplace_back(one.request->room_id());
    decoder.Cite(one.request->prev_events(), one.request->auth_events());
  }
  for (std::size_t row = 0; row < rows->size(); ++row) {
    decoders[static_cast<std::size_t>(rows->Integer(row, kPlace)) - 1].Add(*rows, row);
  }
  for (std::size_t i = 0; i < asked.size(); ++i) *asked[i].answer = Remembered(decoders[i], generation);
}

absl::StatusOr<v1::EventContext> PostgresEventStore::BranchedContext(const rpc::CallContext& call,
                                                                     const v1::GetEventContextRequest& request,
                                                                     const std::vector<matrix::v1::StateKey>& keys) {
  Parameters parameters;
  parameters.Bytes(request.room_id())
      .Bytes(request.event_id())
      .Bytes(request.sender())
      .BytesArray(Strings(request.prev_events()))
      .BytesArray(Strings(request.auth_events()));
  AppendKeys(parameters, keys);
  const auto own = [&](auto part) {
    return request.has_own_key() ? std::optional(part(request.own_key())) : std::nullopt;
  };
  parameters.Bytes(own([](const matrix::v1::StateKey& key) { return key.type(); }))
      .Bytes(own([](const matrix::v1::StateKey& key) { return key.state_key(); }));
  const std::uint64_t generation = rooms_.generation();
  const absl::StatusOr<Rows> rows = Read(call, kEventContext, parameters);
  if (!rows.ok()) return rows.status();

  ContextDecoder decoder(request.room_id());
  decoder.Cite(request.prev_events(), request.auth_events());
  for (std::size_t row = 0; row < rows->size(); ++row) decoder.Add(*rows, row);
  absl::StatusOr<v1::EventContext> answer = Remembered(decoder, generation);
  if (answer.ok() && answer->judging().has_branches()) {
    const bool too_large = answer->judging().branches().too_large();
    metrics_.Count("postern_store_branches_total", {{"answer", too_large ? "too_large" : "given"}});
  }
  return answer;
}

absl::StatusOr<v1::TemplateContext> PostgresEventStore::GetTemplateContext(
    const rpc::CallContext& call, const v1::GetTemplateContextRequest& request) {
  const auto keys = CheckedKeys(request);
  if (!keys.ok()) return keys.status();
  Parameters parameters;
  parameters.Bytes(request.room_id()).Bytes(request.user_id()).Bytes(options_.server_name);
  AppendKeys(parameters, *keys);
  parameters.Integer(MostPrevEvents(request));
  const std::uint64_t generation = rooms_.generation();
  const absl::StatusOr<Rows> rows = Read(call, kTemplateContext, parameters);
  if (!rows.ok()) return rows.status();
  if (rows->size() == 0) return UnknownRoom();

  ContextDecoder decoder(request.room_id());
  for (std::size_t row = 0; row < rows->size(); ++row) decoder.Add(*rows, row);
  ContextRows context = decoder.Take();
  Remember(context, generation);
  v1::TemplateContext answer;
  *answer.mutable_judging() = std::move(context.judging);
  // The template is judged on the current state, whatever the tips that it can cite agree on.
  answer.mutable_judging()->set_state_before_unresolved(false);
  *answer.mutable_judging()->mutable_state_before() = answer.judging().state_now();
  answer.set_user_membership(context.membership);
  answer.set_resident(context.resident);
  for (const std::int64_t depth : context.prev_depths) {
    answer.add_prev_depths(depth);
    answer.set_max_depth(std::max(answer.max_depth(), depth));
  }
  answer.set_token(EncodeToken(context.token));
  return answer;
}

absl::StatusOr<MemberChanges> PostgresEventStore::MembersChangedBy(const rpc::CallContext& call,
                                                                   const CheckedPersist& persist) {
  const matrix::v1::Verdict& verdict = persist.request->verdict();
  MemberChanges members;
  for (const matrix::v1::StateEntry& change : verdict.current_state_change()) {
    if (change.type() != kMemberType) continue;
    if (change.event_id().empty()) {
      members.Remove(change.state_key());
    } else if (change.event_id() == verdict.event_id()) {
      if (!persist.checked.columns.member) return Refuse(Reason::kInvalidArgument, "the event is no member event");
      members.Add(change.state_key(), change.event_id(), *persist.checked.columns.member);
    } else {
      const auto rows = Read(call, kEventPdu, Parameters().Bytes(persist.room_id()).Bytes(change.event_id()));
      if (!rows.ok()) return rows.status();
      if (rows->size() == 0) return Refuse(Reason::kInvalidArgument, "a change names an event that is not stored");
      const auto columns = ReadEventColumns(rows->Bytes(0, 0));
      const std::optional<MembershipColumns> member = columns.ok() ? columns->member : std::nullopt;
      if (!member) return Refuse(Reason::kInvalidArgument, "a change names no member event");
      members.Add(change.state_key(), change.event_id(), *member);
    }
  }
  return members;
}

absl::StatusOr<v1::PersistEventResponse> PostgresEventStore::PersistEvent(const rpc::CallContext& call,
                                                                          const v1::PersistEventRequest& request) {
  absl::StatusOr<v1::PersistEventResponse> response;
  const v1::PersistEventRequest* const one = &request;
  PersistEvents(
      call, std::span(&one, 1), LockedRooms::kWaitFor,
      [&response](std::size_t, absl::StatusOr<v1::PersistEventResponse> answer) { response = std::move(answer); });
  if (!response.ok() || response->has_stored()) return response;
  absl::StatusOr<v1::EventContext> fresh = GetEventContext(call, request.context_request());
  if (!fresh.ok()) return fresh.status();
  *response->mutable_fresh_context() = *std::move(fresh);
  return response;
}

void PostgresEventStore::PersistEvents(const rpc::CallContext& call,
                                       std::span<const v1::PersistEventRequest* const> requests, LockedRooms locked,
                                       const PersistAnswer& answer) {
  std::vector<CheckedPersist> waiting;
  for (std::size_t place = 0; place < requests.size(); ++place) {
    absl::StatusOr<PersistRequest> checked = CheckPersistRequest(*requests[place]);
    if (checked.ok()) {
      waiting.push_back({place, requests[place], *std::move(checked)});
    } else {
      answer(place, checked.status());
    }
  }
  std::ranges::stable_sort(waiting, {}, &CheckedPersist::room_id);
  while (!waiting.empty()) {
    PersistCompany company;
    const auto later = std::stable_partition(waiting.begin(), waiting.end(),
                                             [&company](const CheckedPersist& one) { return company.Admit(one); });
    std::vector<CheckedPersist> together(std::make_move_iterator(waiting.begin()), std::make_move_iterator(later));
    waiting.erase(waiting.begin(), later);
    PersistTogether(call, together, locked, answer);
  }
}

/// With what its change of the current state does to members.
struct PostgresEventStore::SoundPersist {
  CheckedPersist persist;
  MemberChanges members;
};

void PostgresEventStore::PersistTogether(const rpc::CallContext& call, const std::vector<CheckedPersist>& company,
                                         LockedRooms locked, const PersistAnswer& answer) {
  std::vector<SoundPersist> sound;
  for (const CheckedPersist& persist : company) {
    absl::StatusOr<MemberChanges> members = MembersChangedBy(call, persist);
    if (members.ok()) {
      sound.push_back({persist, *std::move(members)});
    } else {
      answer(persist.place, members.status());
    }
  }
  bool in_doubt = false;
  sound = PersistPlain(call, std::move(sound), answer, in_doubt);
  if (!sound.empty()) PersistByDatabase(call, sound, locked, answer, in_doubt);
}

std::map<std::string, RoomHead> PostgresEventStore::HeadsOf(const rpc::CallContext& call,
                                                            const std::vector<SoundPersist>& company) {
  std::map<std::string, RoomHead> heads;
  if (options_.memory.rooms == 0) return heads;
  std::vector<std::string> unknown;
  const bool read_anew = absl::ToUnixMillis(absl::Now()) < others_write_until_;
  for (const SoundPersist& one : company) {
    const std::string& room = one.persist.room_id();
    if (heads.contains(room) || one.persist.request->verdict().outcome() != matrix::v1::OUTCOME_ACCEPTED) continue;
    const std::optional<RoomHead> head = read_anew ? std::nullopt : rooms_.Head(room);
    if (head) {
      heads.emplace(room, *head);
    } else if (unknown.empty() || unknown.back() != room) {
      unknown.push_back(room);
    }
  }
  if (unknown.empty()) return heads;
  const std::uint64_t generation = rooms_.generation();
  const absl::StatusOr<Rows> rows = Read(call, kRoomHeads, Parameters().BytesArray(unknown));
  for (std::size_t row = 0; rows.ok() && row < rows->size(); ++row) {
    RoomHead head{.moment = {.stored = rows->Integer(row, 1), .lineages = rows->Integer(row, 2)},
                  .accepted = rows->Integer(row, 3),
                  .fixed = rows->Integer(row, 4),
                  .group = rows->Integer(row, 5),
                  .extremities = DecodeArray(rows->Bytes(row, 6))};
    // Where others write it would be of no use, and what is remembered of the room be lost by it.
    if (!read_anew) rooms_.Learn(rows->Bytes(row, 0), rows->Bytes(row, 7), {.head = head}, generation);
    heads.emplace(rows->Bytes(row, 0), std::move(head));
  }
  return heads;
}

std::vector<PostgresEventStore::SoundPersist> PostgresEventStore::PersistPlain(const rpc::CallContext& call,
                                                                               std::vector<SoundPersist> company,
                                                                               const PersistAnswer& answer,
                                                                               bool& in_doubt) {
  PlainPersists plain;
  std::vector<std::size_t> plain_places;  // of requests
  std::vector<bool> is_plain;
  std::map<std::string, RoomHead> heads = HeadsOf(call, company);
  for (std::size_t i = 0; i < company.size(); ++i) {
    const CheckedPersist& persist = company[i].persist;
    const auto head = heads.find(persist.room_id());
    is_plain.push_back(head != heads.end() && plain.Add(persist, company[i].members, head->second));
    if (is_plain.back()) {
      plain_places.push_back(persist.place);
    } else if (head != heads.end()) {
      heads.erase(head);  // what follows it in its room comes after it
    }
  }
  if (plain.empty()) return company;
  if (!WritePlain(call, plain, in_doubt)) {
    others_write_until_ = absl::ToUnixMillis(absl::Now() + kOthersWrite);
    return company;
  }
  plain.AdvanceIn(rooms_);
  for (std::size_t i = 0; i < plain_places.size(); ++i) {
    v1::PersistEventResponse response;
    response.mutable_stored()->set_outcome(matrix::v1::OUTCOME_ACCEPTED);
    response.mutable_stored()->set_forward_extremities(static_cast<std::uint32_t>(plain.extremities(i)));
    answer(plain_places[i], std::move(response));
  }
  std::vector<SoundPersist> others;
  for (std::size_t i = 0; i < company.size(); ++i) {
    if (!is_plain[i]) others.push_back(std::move(company[i]));
  }
  return others;
}

bool PostgresEventStore::WritePlain(const rpc::CallContext& call, const PlainPersists& plain, bool& in_doubt) {
  if (!watch_.ready()) return false;
  const absl::StatusOr<ConnectionPool::Lease> lease = pool_.Take(call.deadline, kPersistPlain);
  if (!lease.ok()) return false;
  const absl::Time now = absl::Now();
  std::vector<std::string> seen = seen_.NotSeenLately(plain.origins(), now);
  std::erase(seen, options_.server_name);
  Parameters parameters;
  parameters.Bytes(options_.server_name)
      .Integer(absl::ToUnixMillis(now))
      .Integer(options_.remote_servers_limit)
      .BytesArray(seen);
  plain.AppendTo(parameters);
  const absl::StatusOr<Rows> rows = CallOn(*lease, kPersistPlain, parameters);
  if (rows.ok() && !(*lease)->warned()) {
    if (rows->Boolean(0, 0)) seen_.Note(seen, now);
    return rows->Boolean(0, 0);
  }
  if (rows.ok() || (*lease)->broken()) {
    metrics_.Count("postern_store_commits_in_doubt_total");
    in_doubt = true;
  }
  return false;
}

void PostgresEventStore::PersistByDatabase(const rpc::CallContext& call, const std::vector<SoundPersist>& company,
                                           LockedRooms locked, const PersistAnswer& answer, bool in_doubt) {
  PersistBatch batch;
  for (const SoundPersist& one : company) batch.Add(one.persist, one.members);
  const auto parameters = [&](bool doubt) {
    Parameters given;
    given.Bytes(options_.server_name)
        .Integer(absl::ToUnixMillis(absl::Now()))
        .Integer(options_.refusals_limit)
        .Integer(options_.remote_servers_limit)
        .Boolean(doubt)
        .Boolean(locked == LockedRooms::kWaitFor);
    batch.AppendTo(given);
    return given;
  };
  const auto rows = Write(call, kPersistEvents, parameters, in_doubt);
  if (rows.ok()) {
    AnswerPersists(company, *rows, answer);
    return;
  }
  // PostgreSQL may have taken offence at one of them.
  const bool alone = company.size() > 1 && matrix::ReasonOf(rows.status()) != Reason::kStoreDown;
  for (const SoundPersist& one : company) {
    if (alone) {
      PersistByDatabase(call, {one}, locked, answer, in_doubt);
    } else {
      answer(one.persist.place, rows.status());
    }
  }
}

void PostgresEventStore::AnswerPersists(const std::vector<SoundPersist>& company, const Rows& rows,
                                        const PersistAnswer& answer) {
  enum Result { kStored = 0, kReplay = 1, kConflict = 2, kNoRoom = 3, kLocked = 4 };
  const auto results = rows.IntegerArray(0, 0), outcomes = rows.IntegerArray(0, 1), reasons = rows.IntegerArray(0, 2),
             extremities = rows.IntegerArray(0, 3);
  for (std::size_t i = 0; i < company.size(); ++i) {
    const std::int64_t result = results[i].value_or(kNoRoom);
    v1::PersistEventResponse response;
    if (result == kNoRoom) {
      answer(company[i].persist.place, UnknownRoom());
      continue;
    }
    if (result == kLocked) {
      answer(company[i].persist.place, Refuse(Reason::kRoomBusy, "the room is locked"));
      continue;
    }
    if (result == kConflict) {
      metrics_.Count("postern_store_conflicts_total");
    } else {
      if (result == kStored) rooms_.Outdate(company[i].persist.room_id());
      response.mutable_stored()->set_outcome(static_cast<matrix::v1::Outcome>(outcomes[i].value_or(0)));
      response.mutable_stored()->set_reason(static_cast<matrix::v1::Reason>(reasons[i].value_or(0)));
      response.mutable_stored()->set_replay(result == kReplay);
      response.mutable_stored()->set_forward_extremities(static_cast<std::uint32_t>(extremities[i].value_or(0)));
    }
    answer(company[i].persist.place, std::move(response));
  }
}

absl::StatusOr<v1::LeaseExtremitiesResponse> PostgresEventStore::LeaseExtremities(
    const rpc::CallContext& call, const v1::LeaseExtremitiesRequest& request) {
  if (absl::Status status = CheckLeaseRequest(request); !status.ok()) return status;
  Parameters parameters;
  parameters.Bytes(request.room_id())
      .Bytes(request.holder())
      .Integer(request.milliseconds())
      .Bytes(options_.server_name)
      .BytesArray(Strings(request.candidates()));
  // May be repeated: a holder takes his own lease again.
  const auto rows = Read(call, kLeaseExtremities, parameters);
  if (!rows.ok()) return rows.status();
  if (rows->size() == 0) return UnknownRoom();
  v1::LeaseExtremitiesResponse answer;
  answer.set_granted(rows->Boolean(0, 0));
  answer.set_forward_extremities(static_cast<std::uint32_t>(rows->Integer(0, 1)));
  for (std::string& user : rows->BytesArray(0, 2)) answer.add_joined_users(std::move(user));
  return answer;
}

absl::Status PostgresEventStore::CreateRoom(const rpc::CallContext& call, const v1::CreateRoomRequest& request) {
  const matrix::RoomRules* rules = nullptr;
  const auto events = CheckNewRoom(request, &rules);
  if (!events.ok()) return events.status();
  Parameters parameters;
  parameters.Bytes(request.room_id())
      .Bytes(request.room_version())
      .Boolean(rules->event_id_format == matrix::EventIdFormat::kCarried);
  AppendGivenEvents(parameters, options_.server_name, *events);
  const auto rows = Write(call, kCreateRoom, [&](bool in_doubt) { return Parameters(parameters).Boolean(in_doubt); });
  if (!rows.ok()) return rows.status();
  if (!rows->Boolean(0, 0)) return Refuse(Reason::kAlreadyExists, "the room exists");
  return absl::OkStatus();
}

absl::Status PostgresEventStore::SeedEvents(const rpc::CallContext& call, const v1::SeedEventsRequest& request) {
  const auto events = CheckGivenEvents(request.events());
  if (!events.ok()) return events.status();
  Parameters parameters;
  parameters.Bytes(request.room_id());
  AppendGivenEvents(parameters, options_.server_name, *events);
  const auto rows = Write(call, kSeedEvents, [&](bool in_doubt) { return Parameters(parameters).Boolean(in_doubt); });
  if (!rows.ok()) return rows.status();

  enum Result { kStored = 0, kNoRoom = 1, kNotAtTheTip = 2 };
  const std::int64_t result = rows->Integer(0, 0);
  if (result == kNoRoom) return UnknownRoom();
  if (result == kNotAtTheTip) {
    return Refuse(Reason::kInvalidArgument, "the first event does not extend the room's only extremity");
  }
  return absl::OkStatus();
}

}  // namespace postern::store
