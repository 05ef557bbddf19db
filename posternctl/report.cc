#include "posternctl/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <iostream>

#include "absl/strings/cord.h"
#include "absl/time/time.h"
#include "matrix/canonical_json.h"
#include "matrix/refusal.h"
#include "posternctl/commands.h"

namespace postern::posternctl {
namespace {

constexpr std::size_t kGap = 2;

// Columns, not bytes: UTF-8's continuation bytes take no place.
std::size_t Width(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

void PrintRow(const std::vector<std::string>& row, const std::vector<std::size_t>& widths) {
  std::string line;
  for (std::size_t column = 0; column < row.size(); ++column) {
    line += row[column];
    if (column + 1 < row.size()) line.append(widths[column] - Width(row[column]) + kGap, ' ');
  }
  std::cout << line << '\n';
}

bool IsTroubleOfTheWay(matrix::Reason reason) {
  using matrix::Reason;
  switch (reason) {
    case Reason::kStoreDown:
    case Reason::kValidatorDown:
    case Reason::kOverloaded:
    case Reason::kDeadlineExceeded:
    case Reason::kCancelled:
    case Reason::kRoomBusy:
      return true;
    default:
      return false;
  }
}

bool HasReason(const absl::Status& status) {
  bool has = false;
  status.ForEachPayload([&has](absl::string_view, const absl::Cord&) { has = true; });
  return has;
}

}  // namespace

std::string Printable(std::string_view text) {
  std::string shown;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7F) {
      shown += fmt::format("\\x{:02x}", byte);
    } else {
      shown += c;
    }
  }
  return shown;
}

void PrintTable(const std::vector<std::string>& header, const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  const auto measure = [&](const std::vector<std::string>& row) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t column = 0; column < row.size(); ++column) {
      widths[column] = std::max(widths[column], Width(row[column]));
    }
  };
  measure(header);
  for (const auto& row : rows) measure(row);
  if (!header.empty()) PrintRow(header, widths);
  for (const auto& row : rows) PrintRow(row, widths);
}

void PrintFields(const std::vector<std::pair<std::string, std::string>>& fields) {
  std::vector<std::vector<std::string>> rows;
  for (const auto& [name, value] : fields) rows.push_back({name, value});
  PrintTable({}, rows);
}

void PrintJson(const matrix::Json& value) { std::cout << matrix::CanonicalJson(value) << '\n'; }

std::string IndentedJson(const matrix::Json& value, std::size_t indent) {
  const std::string inner(indent + 2, ' ');
  std::string text;
  if (const auto* object = value.AsObject(); object != nullptr && !object->empty()) {
    for (const auto& [key, member] : *object) {
      text += fmt::format("{}\n{}{}: {}", text.empty() ? "{" : ",", inner, matrix::CanonicalJson(matrix::Json(key)),
                          IndentedJson(member, indent + 2));
    }
    return fmt::format("{}\n{}}}", text, std::string(indent, ' '));
  }
  if (const auto* array = value.AsArray(); array != nullptr && !array->empty()) {
    for (const auto& element : *array) {
      text += fmt::format("{}\n{}{}", text.empty() ? "[" : ",", inner, IndentedJson(element, indent + 2));
    }
    return fmt::format("{}\n{}]", text, std::string(indent, ' '));
  }
  return matrix::CanonicalJson(value);
}

std::string TimeText(std::int64_t unix_ms) {
  if (unix_ms == 0) return "-";
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", absl::FromUnixMillis(unix_ms), absl::UTCTimeZone());
}

int Fail(const absl::Status& why) {
  const matrix::Reason reason = matrix::ReasonOf(why);
  std::cerr << "posternctl: " << Printable(matrix::DetailOf(why)) << " (" << matrix::RefusalOf(reason).name << ")\n";
  // Statuses without a Reason come from this program itself: how to reach a service has not been said.
  if (absl::IsInvalidArgument(why) && !HasReason(why)) return kExitUsage;
  return why.code() == absl::StatusCode::kUnavailable || IsTroubleOfTheWay(reason) ? kExitUnreachable : kExitRefused;
}

int FailUsage(const absl::Status& why) {
  Fail(why);
  return kExitUsage;
}

}  // namespace postern::posternctl
