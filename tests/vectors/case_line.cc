#include "tests/vectors/case_line.h"

#include <algorithm>
#include <array>
#include <utility>

#include "matrix/canonical_json.h"
#include "tests/vectors/answers.h"

namespace postern::vectors {
namespace {

using matrix::Json;
using matrix::JsonObject;

using Operation = std::pair<std::string_view, Output (*)(const Input&)>;
constexpr std::array kOperations{
    Operation{"canonical_json", AnswerCanonicalJson},
    Operation{"content_hash", AnswerContentHash},
    Operation{"event_id", AnswerEventId},
    Operation{"redact", AnswerRedact},
    Operation{"sign_event", AnswerSignEvent},
    Operation{"verify_event", AnswerVerifyEvent},
    Operation{"xmatrix_parse", AnswerXMatrixParse},
    Operation{"xmatrix_sign", AnswerXMatrixSign},
    Operation{"xmatrix_verify", AnswerXMatrixVerify},
    Operation{"check_event_format", AnswerCheckEventFormat},
    Operation{"auth_types", AnswerAuthTypes},
    Operation{"auth_check", AnswerAuthCheck},
    Operation{"state_resolve", AnswerStateResolve},
};

Json Unsupported() {
  JsonObject output;
  output.Set("unsupported", true);
  return output;
}

std::string OutputLine(Json id, Json output) {
  JsonObject line;
  line.Set("id", std::move(id));
  line.Set("output", std::move(output));
  return matrix::CanonicalJson(line);
}

/// The string literal at the front of `text`, quotes included; "" if none ends.
std::string_view StringLiteral(std::string_view text) {
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == '"') {
      return text.substr(0, i + 1);
    }
  }
  return {};
}

std::string_view WithoutBlanks(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r");
  return first == std::string_view::npos ? std::string_view() : text.substr(first);
}

/// The `id` of a line that our strict reader refuses, as far as it is a string of the outermost object.
Json SalvageId(std::string_view line) {
  int depth = 0;
  while (!line.empty()) {
    const char c = line.front();
    if (c == '{' || c == '[') ++depth;
    if (c == '}' || c == ']') --depth;
    if (c != '"') {
      line.remove_prefix(1);
      continue;
    }
    const std::string_view name = StringLiteral(line);
    if (name.empty()) break;
    line.remove_prefix(name.size());
    const std::string_view after = WithoutBlanks(line);
    if (depth != 1 || name != "\"id\"" || !after.starts_with(':')) continue;
    const std::string_view value = WithoutBlanks(after.substr(1));
    const auto id = matrix::ParseJson(value.starts_with('"') ? StringLiteral(value) : std::string_view());
    return id.ok() ? *id : Json();
  }
  return {};
}

}  // namespace

Json Answer(std::string_view op, const Json& input) {
  const auto operation = std::ranges::find(kOperations, op, &Operation::first);
  if (operation == kOperations.end() || !input.AsObject()) return Unsupported();
  auto output = operation->second(Input(*input.AsObject()));
  return output ? Json(*std::move(output)) : Unsupported();
}

std::string AnswerLine(std::string_view line) {
  const auto parsed = matrix::ParseJson(line);
  if (!parsed.ok()) return OutputLine(SalvageId(line), Unsupported());
  if (!parsed->AsObject()) return OutputLine(Json(), Unsupported());
  const Input fields(*parsed->AsObject());
  const Json* id = fields.Any("id");
  const std::string* op = fields.String("op");
  const Json* input = fields.Any("input");
  return OutputLine(id ? *id : Json(), op && input ? Answer(*op, *input) : Unsupported());
}

}  // namespace postern::vectors
