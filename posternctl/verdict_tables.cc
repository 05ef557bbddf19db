#include "posternctl/verdict_tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <optional>
#include <string_view>
#include <utility>

#include "matrix/auth_events.h"
#include "matrix/event.h"
#include "matrix/state_change.h"
#include "matrix/verdict.h"
#include "posternctl/event_words.h"
#include "posternctl/report.h"

namespace postern::posternctl {
namespace {

using matrix::JsonArray;
using matrix::JsonObject;
using matrix::v1::JudgingContext;

std::string OutcomeOf(const matrix::v1::StepResult& step) {
  return std::string(matrix::StepOutcomeName(static_cast<matrix::StepOutcome>(step.outcome())));
}

const std::string* PduOf(const JudgingContext& context, const std::string& event_id) {
  const auto event = std::ranges::find(context.events(), event_id, &matrix::v1::StoredEvent::event_id);
  return event == context.events().end() ? nullptr : &event->pdu();
}

std::string WordsOf(const JudgingContext& context, const std::string& event_id) {
  const std::string* pdu = PduOf(context, event_id);
  return pdu == nullptr ? "" : InFewWords(*pdu);
}

/// The key of a state event.
std::string KeyOf(const JudgingContext& context, const std::string& event_id) {
  const std::string* pdu = PduOf(context, event_id);
  const auto json = matrix::ParseJson(pdu == nullptr ? "" : *pdu);
  if (!json.ok() || json->AsObject() == nullptr) return {};
  const auto member = [&](std::string_view name) {
    const matrix::Json* value = json->AsObject()->Find(name);
    return value == nullptr || value->AsString() == nullptr ? std::string() : *value->AsString();
  };
  return KeyText(member("type"), member("state_key"));
}

const std::string* EntryOf(const google::protobuf::RepeatedPtrField<matrix::v1::StateEntry>& state,
                           const matrix::StateKey& key) {
  for (const matrix::v1::StateEntry& entry : state) {
    if (entry.type() == key.type && entry.state_key() == key.state_key) return &entry.event_id();
  }
  return nullptr;
}

void PrintLookedAt(const matrix::v1::Verdict& verdict, const JudgingContext& context) {
  std::vector<std::vector<std::string>> rows;
  for (const auto& step : verdict.steps()) {
    std::string number = std::to_string(step.step());
    for (const std::string& id : step.looked_at()) {
      rows.push_back({std::exchange(number, ""), Printable(id), KeyOf(context, id), WordsOf(context, id)});
    }
  }
  if (rows.empty()) return;
  std::cout << '\n';
  PrintTable({"STEP", "LOOKED AT", "", "WHICH SAYS"}, rows);
}

void PrintKeysUsed(const matrix::v1::Verdict& verdict) {
  std::vector<std::vector<std::string>> rows;
  for (const auto& key : verdict.keys_used()) {
    rows.push_back({Printable(key.server_name()), Printable(key.key_id()),
                    fmt::format("{}{}", key.old() ? "given up " : "", TimeText(key.valid_until_ms()))});
  }
  if (rows.empty()) return;
  std::cout << '\n';
  PrintTable({"KEY OF", "ID", "VALID UNTIL"}, rows);
}

}  // namespace

std::vector<matrix::v1::StateKey> KeysToAskFor(const std::string& pdu, const matrix::RoomRules& rules,
                                               const matrix::v1::Verdict& verdict) {
  std::vector<matrix::StateKey> keys;
  for (const matrix::v1::StateKey& key : verdict.read_set()) keys.push_back({key.type(), key.state_key()});
  if (const auto event = matrix::Event::Parse(pdu, rules); event.ok()) {
    for (auto& more : {matrix::ReadSetOf(*event), matrix::KeysForLeave(event->sender())}) {
      keys.insert(keys.end(), more.begin(), more.end());
    }
  }
  std::ranges::sort(keys);
  const auto twins = std::ranges::unique(keys);
  keys.erase(twins.begin(), twins.end());
  std::vector<matrix::v1::StateKey> asked(keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    asked[i].set_type(keys[i].type);
    asked[i].set_state_key(keys[i].state_key);
  }
  return asked;
}

KeysInQuestion KeysIn(const JudgingContext& context, const std::string& pdu, const matrix::RoomRules& rules) {
  KeysInQuestion keys;
  const auto event = matrix::Event::Parse(pdu, rules);
  if (!event.ok()) return keys;
  const auto& before = context.extends_all_extremities() ? context.state_now() : context.state_before();
  for (const matrix::StateKey& key : matrix::ReadSetOf(*event)) {
    validator::v1::KeyInQuestion& described = *keys.Add();
    described.mutable_key()->set_type(key.type);
    described.mutable_key()->set_state_key(key.state_key);
    if (const std::string* id = EntryOf(before, key)) described.set_before(*id);
    if (const std::string* id = EntryOf(context.state_now(), key)) described.set_now(*id);
  }
  return keys;
}

void PrintVerdict(const matrix::v1::Verdict& verdict, const JudgingContext& context) {
  std::cout << '\n';
  std::vector<std::vector<std::string>> rows;
  for (const auto& step : verdict.steps()) {
    rows.push_back({std::to_string(step.step()), StepText(step), OutcomeOf(step),
                    step.rule().empty() ? "-" : Printable(step.rule()), Printable(step.text())});
  }
  PrintTable({"STEP", "", "RESULT", "RULE", "IN WORDS"}, rows);
  PrintLookedAt(verdict, context);
  std::cout << '\n';
  PrintFields({{"judged", TimeText(verdict.judged_at_ms())},
               {"reason", ReasonText(verdict.reason())},
               {"detail", verdict.detail().empty() ? "-" : Printable(verdict.detail())}});
  PrintKeysUsed(verdict);
}

void PrintKeys(const KeysInQuestion& keys, const JudgingContext& context) {
  std::vector<std::vector<std::string>> rows;
  for (const auto& key : keys) {
    std::vector<std::string> row{KeyText(key.key().type(), key.key().state_key())};
    row.push_back(key.has_before() ? WordsOf(context, key.before()) : "none");
    row.push_back(key.has_before() ? Printable(key.before()) : "");
    const bool same = key.has_before() == key.has_now() && key.before() == key.now();
    row.push_back(same ? "the same" : key.has_now() ? WordsOf(context, key.now()) : "none");
    row.push_back(same || !key.has_now() ? "" : Printable(key.now()));
    rows.push_back(std::move(row));
  }
  if (rows.empty()) return;
  std::cout << '\n';
  PrintTable({"STATE", "BEFORE", "", "NOW", ""}, rows);
}

JsonObject VerdictJson(const matrix::v1::Verdict& verdict) {
  JsonArray steps;
  for (const auto& step : verdict.steps()) {
    JsonObject entry;
    entry.Set("step", std::int64_t{step.step()});
    entry.Set("name", StepText(step));
    entry.Set("outcome", OutcomeOf(step));
    entry.Set("rule", step.rule());
    entry.Set("text", step.text());
    entry.Set("looked_at", JsonArray(step.looked_at().begin(), step.looked_at().end()));
    steps.emplace_back(std::move(entry));
  }
  JsonArray keys;
  for (const auto& key : verdict.keys_used()) {
    JsonObject entry;
    entry.Set("server_name", key.server_name());
    entry.Set("key_id", key.key_id());
    entry.Set("valid_until_ms", std::int64_t{key.valid_until_ms()});
    entry.Set("old", key.old());
    keys.emplace_back(std::move(entry));
  }
  JsonObject described;
  described.Set("outcome", OutcomeText(verdict.outcome()));
  described.Set("reason", ReasonText(verdict.reason()));
  described.Set("detail", verdict.detail());
  described.Set("steps", std::move(steps));
  described.Set("judged_at_ms", std::int64_t{verdict.judged_at_ms()});
  described.Set("keys_used", std::move(keys));
  described.Set("commutes", verdict.commutes());
  return described;
}

JsonArray KeysJson(const KeysInQuestion& keys) {
  JsonArray described;
  for (const auto& key : keys) {
    JsonObject entry;
    entry.Set("type", key.key().type());
    entry.Set("state_key", key.key().state_key());
    entry.Set("before", key.has_before() ? matrix::Json(key.before()) : matrix::Json(nullptr));
    entry.Set("now", key.has_now() ? matrix::Json(key.now()) : matrix::Json(nullptr));
    described.emplace_back(std::move(entry));
  }
  return described;
}

}  // namespace postern::posternctl
