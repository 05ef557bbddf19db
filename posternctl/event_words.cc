#include "posternctl/event_words.h"

#include <fmt/format.h>

#include "matrix/json.h"
#include "matrix/refusal.h"
#include "matrix/verdict.h"
#include "posternctl/report.h"

namespace postern::posternctl {
namespace {

using matrix::JsonObject;

std::string Member(const JsonObject& object, std::string_view key) {
  const matrix::Json* value = object.Find(key);
  if (value == nullptr || value->AsString() == nullptr) return {};
  return Printable(*value->AsString());
}

bool Continues(char c) { return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U; }

}  // namespace

std::string KeyText(std::string_view type, std::string_view state_key) {
  std::string text = Printable(type);
  if (!state_key.empty()) text += " " + Printable(state_key);
  return text;
}

std::string InFewWords(std::string_view pdu) {
  const auto json = matrix::ParseJson(pdu);
  const JsonObject* event = json.ok() ? json->AsObject() : nullptr;
  if (event == nullptr) return "?";
  static const JsonObject kNothing;
  const matrix::Json* content_value = event->Find("content");
  const JsonObject& content =
      content_value != nullptr && content_value->AsObject() != nullptr ? *content_value->AsObject() : kNothing;
  const std::string type = Member(*event, "type"), sender = Member(*event, "sender");
  if (type == "m.room.member") {
    const std::string membership = Member(content, "membership");
    return Member(*event, "state_key") == sender ? membership : fmt::format("{} by {}", membership, sender);
  }
  if (type == "m.room.join_rules") return "join_rule " + Member(content, "join_rule");
  if (type == "m.room.create") {
    const std::string version = Member(content, "room_version");
    return fmt::format("version {}, by {}", version.empty() ? "1" : version, sender);
  }
  return "by " + sender;
}

std::string OutcomeText(matrix::v1::Outcome outcome) {
  if (outcome == matrix::v1::OUTCOME_UNSPECIFIED) return "-";
  return std::string(matrix::OutcomeName(static_cast<matrix::Outcome>(outcome)));
}

std::string StepText(const matrix::v1::StepResult& step) {
  return std::string(matrix::StepName(static_cast<matrix::Step>(step.step())));
}

std::string ReasonText(matrix::v1::Reason reason) {
  return std::string(matrix::RefusalOf(matrix::ReasonFromNumber(static_cast<std::int32_t>(reason))).name);
}

std::string Shortened(std::string_view text, std::size_t most) {
  std::size_t characters = 0, end_of_kept = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (Continues(text[at])) continue;
    if (++characters == most) end_of_kept = at;
  }
  if (characters <= most) return std::string(text);
  return std::string(text.substr(0, end_of_kept)) + "…";
}

}  // namespace postern::posternctl
