// Logs as JSON lines on standard error: level, time, service, message and fields. No secret and no event content goes
// in here.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>

#include "absl/time/time.h"

namespace postern::telemetry {

enum class Level { kDebug, kInfo, kWarning, kError };

/// One field of a line. Strings are escaped, long ones cut at 1,024 bytes: strangers wrote some of them.
struct Field {
  std::string_view name;
  std::variant<std::string_view, std::int64_t, double, bool> value;

  Field(std::string_view n, std::string_view v) : name(n), value(v) {}
  Field(std::string_view n, const std::string& v) : name(n), value(std::string_view(v)) {}
  Field(std::string_view n, const char* v) : name(n), value(std::string_view(v)) {}
  Field(std::string_view n, std::int64_t v) : name(n), value(v) {}
  Field(std::string_view n, int v) : name(n), value(std::int64_t{v}) {}
  Field(std::string_view n, std::size_t v) : name(n), value(static_cast<std::int64_t>(v)) {}
  Field(std::string_view n, double v) : name(n), value(v) {}
  Field(std::string_view n, bool v) : name(n), value(v) {}
  /// In milliseconds.
  Field(std::string_view n, absl::Duration v) : name(n), value(absl::ToDoubleMilliseconds(v)) {}
};

/// Names the service in every line from now on and sets the least level written ("debug", "info", "warning", "error";
/// anything else is info). Call once, at the start.
void StartLogging(std::string_view service, std::string_view level);

/// The field names that all services use: trace_id, room_id, event_id, origin, verdict, reason, duration_ms, route,
/// status.
void Log(Level level, std::string_view message, std::initializer_list<Field> fields = {});

}  // namespace postern::telemetry
