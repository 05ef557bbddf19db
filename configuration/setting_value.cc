#include "configuration/setting_value.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>

namespace postern::configuration {
namespace {

using Kind = YamlValue::Kind;

constexpr std::size_t kLongestQuote = 80;

// A setting may be a secret's file name at worst, never the secret: it may be quoted.
std::string Instead(std::string_view what, std::string_view found) {
  return fmt::format("expected {}, found '{}'", what, found.substr(0, kLongestQuote));
}

std::optional<std::int64_t> ToInteger(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::string NameOf(Kind kind) {
  switch (kind) {
    case Kind::kNothing:
      return "nothing";
    case Kind::kScalar:
      return "a single value";
    case Kind::kList:
      return "a list";
    case Kind::kMap:
      return "a map";
  }
  return "nothing";
}

}  // namespace

Expected SettingValue::TakeYaml(const YamlValue& value) {
  if (value.kind == Kind::kScalar) return TakeText(value.text);
  return fmt::format("expected a single value, found {}", NameOf(value.kind));
}

Expected TextValue::TakeText(const std::string& text) {
  *target_ = text;
  return std::nullopt;
}

Expected IntegerValue::TakeText(const std::string& text) {
  const auto number = ToInteger(text);
  if (!number || *number < least_ || *number > most_) {
    return Instead(fmt::format("an integer from {} to {}", least_, most_), text);
  }
  *target_ = *number;
  return std::nullopt;
}

Expected FlagValue::TakeText(const std::string& text) {
  if (text != "true" && text != "false") return Instead("true or false", text);
  *target_ = text == "true";
  return std::nullopt;
}

Expected TimeValue::TakeText(const std::string& text) {
  absl::Duration time;
  if (!absl::ParseDuration(text, &time) || time < least_ || time > most_) {
    return Instead(fmt::format("a time such as 500ms, 2s or 5m, from {} to {}", absl::FormatDuration(least_),
                               absl::FormatDuration(most_)),
                   text);
  }
  *target_ = time;
  return std::nullopt;
}

Expected ListValue::TakeText(const std::string& text) {
  std::vector<std::string> items;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    if (end > begin) items.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  *target_ = std::move(items);
  return std::nullopt;
}

Expected ListValue::TakeYaml(const YamlValue& value) {
  if (value.kind != Kind::kList) return fmt::format("expected a list, found {}", NameOf(value.kind));
  std::vector<std::string> items;
  for (const YamlValue& item : value.items) {
    if (item.kind != Kind::kScalar)
      return fmt::format("expected single values in the list, found {}", NameOf(item.kind));
    items.push_back(item.text);
  }
  *target_ = std::move(items);
  return std::nullopt;
}

std::string ListValue::DefaultText() const { return fmt::format("{}", fmt::join(*target_, ",")); }

Expected TableValue::TakeText(const std::string&) { return "expected in the file only"; }

Expected TableValue::TakeYaml(const YamlValue& value) {
  if (value.kind != Kind::kMap) {
    return fmt::format("expected a map from names to {{{}}}, found {}", fmt::join(fields_, ", "), NameOf(value.kind));
  }
  IntegerTable table;
  for (const auto& [name, row] : value.members) {
    if (auto expected = TakeRow(name, row, table)) return expected;
  }
  *target_ = std::move(table);
  return std::nullopt;
}

Expected TableValue::TakeRow(const std::string& name, const YamlValue& row, IntegerTable& table) const {
  if (row.kind != Kind::kMap)
    return fmt::format("{}: expected {{{}}}, found {}", name, fmt::join(fields_, ", "), NameOf(row.kind));
  auto& fields = table[name];
  for (const auto& [field, value] : row.members) {
    if (std::ranges::find(fields_, field) == fields_.end()) {
      return fmt::format("{}: expected one of {}, found '{}' in line {}", name, fmt::join(fields_, ", "), field,
                         value.line);
    }
    const auto number = value.kind == Kind::kScalar ? ToInteger(value.text) : std::nullopt;
    if (!number || *number < 0) {
      return fmt::format("{}.{}: {} in line {}", name, field, Instead("an integer from 0", value.text), value.line);
    }
    fields[field] = *number;
  }
  return std::nullopt;
}

}  // namespace postern::configuration
