// How results and trouble are shown: tables for people, JSON for scripts.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "matrix/json.h"

namespace postern::posternctl {

/// `text` with every control character spelled `\xNN`: strangers wrote some of what is shown, and a terminal obeys.
std::string Printable(std::string_view text);

/// Prints rows under a header, columns aligned; no header if it is empty.
void PrintTable(const std::vector<std::string>& header, const std::vector<std::vector<std::string>>& rows);

/// Names and values, one a line, values aligned.
void PrintFields(const std::vector<std::pair<std::string, std::string>>& fields);

/// On one line, for scripts.
void PrintJson(const matrix::Json& value);
/// Indented, for people. Members in the order of canonical JSON.
std::string IndentedJson(const matrix::Json& value, std::size_t indent = 0);

/// "2026-03-01T12:00:00.123Z"; "-" for 0.
std::string TimeText(std::int64_t unix_ms);

/// Says on standard error why it did not work, and returns the exit status that this means.
int Fail(const absl::Status& why);
/// The same where the command line is to blame: a name that is none, a file that cannot be read.
int FailUsage(const absl::Status& why);

}  // namespace postern::posternctl
