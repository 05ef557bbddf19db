#include "telemetry/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <memory>

#include "absl/time/clock.h"

namespace postern::telemetry {
namespace {

constexpr std::size_t kLongestString = 1024;
constexpr std::size_t kUsualLine = 768;

spdlog::level::level_enum LevelNamed(std::string_view name) {
  if (name == "debug") return spdlog::level::debug;
  if (name == "warning") return spdlog::level::warn;
  if (name == "error") return spdlog::level::err;
  return spdlog::level::info;
}

spdlog::level::level_enum ToSpdlog(Level level) {
  switch (level) {
    case Level::kDebug:
      return spdlog::level::debug;
    case Level::kInfo:
      return spdlog::level::info;
    case Level::kWarning:
      return spdlog::level::warn;
    case Level::kError:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

std::string_view NameOf(Level level) {
  switch (level) {
    case Level::kDebug:
      return "debug";
    case Level::kInfo:
      return "info";
    case Level::kWarning:
      return "warning";
    case Level::kError:
      return "error";
  }
  return "info";
}

constexpr char32_t kReplacement = 0xfffd;

// Takes one code point off the front of `text`; a byte that begins none is taken alone and reads as U+FFFD.
char32_t TakeCodePoint(std::string_view& text) {
  const auto lead = static_cast<unsigned char>(text.front());
  const std::size_t length = lead < 0x80   ? 1
                             : lead < 0xc2 ? 0
                             : lead < 0xe0 ? 2
                             : lead < 0xf0 ? 3
                             : lead < 0xf5 ? 4
                                           : 0;
  if (length == 0 || length > text.size()) {
    text.remove_prefix(1);
    return kReplacement;
  }
  char32_t point = length == 1 ? lead : lead & (0x7fU >> length);
  for (const char c : text.substr(1, length - 1)) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte & 0xc0U) != 0x80) {
      text.remove_prefix(1);
      return kReplacement;
    }
    point = (point << 6U) | (byte & 0x3fU);
  }
  text.remove_prefix(length);
  constexpr char32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool is_scalar = point >= kLeast[length] && point <= 0x10ffff && (point < 0xd800 || point > 0xdfff);
  return is_scalar ? point : kReplacement;
}

void AppendEscaped(char32_t point, std::string& out) {
  const auto code = static_cast<std::uint32_t>(point);
  if (code < 0x10000) {
    fmt::format_to(std::back_inserter(out), "\\u{:04x}", code);
  } else {
    fmt::format_to(std::back_inserter(out), "\\u{:04x}\\u{:04x}", 0xd7c0 + (code >> 10U), 0xdc00 + (code & 0x3ffU));
  }
}

bool IsPlain(char c) { return c >= 0x20 && c < 0x7f && c != '"' && c != '\\'; }

// A log line is ASCII: whatever a stranger wrote cannot break it, nor a terminal that shows it.
void AppendQuoted(std::string_view text, std::string& out) {
  const bool is_cut = text.size() > kLongestString;
  text = text.substr(0, kLongestString);
  out += '"';
  while (!text.empty()) {
    const auto plain = static_cast<std::size_t>(std::ranges::find_if_not(text, IsPlain) - text.begin());
    out += text.substr(0, plain);
    text.remove_prefix(plain);
    if (text.empty()) break;
    if (const char c = text.front(); c == '"' || c == '\\') {
      out += {'\\', c};
      text.remove_prefix(1);
    } else {
      AppendEscaped(TakeCodePoint(text), out);
    }
  }
  out += is_cut ? "\\u2026\"" : "\"";
}

// JSON has no infinity and no NaN.
void AppendNumber(double number, std::string& out) {
  if (std::isfinite(number)) {
    fmt::format_to(std::back_inserter(out), "{:.3f}", number);
  } else {
    out += "null";
  }
}

void AppendField(const Field& field, std::string& out) {
  out += ',';
  AppendQuoted(field.name, out);
  out += ':';
  if (const auto* text = std::get_if<std::string_view>(&field.value)) AppendQuoted(*text, out);
  if (const auto* integer = std::get_if<std::int64_t>(&field.value))
    fmt::format_to(std::back_inserter(out), "{}", *integer);
  if (const auto* real = std::get_if<double>(&field.value)) AppendNumber(*real, out);
  if (const auto* truth = std::get_if<bool>(&field.value)) out += *truth ? "true" : "false";
}

// "2026-11-26T18:00:00.123Z". Taking a time apart costs as much as the rest of a line, so each thread does it once a
// second.
void AppendTime(absl::Time time, std::string& out) {
  thread_local std::int64_t second_written = std::numeric_limits<std::int64_t>::min();
  thread_local std::string written;
  const std::int64_t milliseconds = absl::ToUnixMillis(time);
  const std::int64_t second = absl::ToUnixSeconds(time);
  if (second != second_written) {
    written = absl::FormatTime("%Y-%m-%dT%H:%M:%S", time, absl::UTCTimeZone());
    second_written = second;
  }
  fmt::format_to(std::back_inserter(out), "{}.{:03}Z", written, milliseconds - 1000 * second);
}

struct Sink {
  std::shared_ptr<spdlog::logger> logger = spdlog::stderr_logger_mt("postern");
  std::string service = "postern";
  Sink() { logger->set_pattern("%v"); }
};

// Never destroyed: threads of libraries log while the process ends.
Sink& TheSink() {
  static Sink& sink = *new Sink;
  return sink;
}

}  // namespace

void StartLogging(std::string_view service, std::string_view level) {
  TheSink().service = service;
  TheSink().logger->set_level(LevelNamed(level));
}

void Log(Level level, std::string_view message, std::initializer_list<Field> fields) {
  Sink& sink = TheSink();
  if (!sink.logger->should_log(ToSpdlog(level))) return;
  std::string line;
  line.reserve(kUsualLine);
  line += "{\"time\":\"";
  AppendTime(absl::Now(), line);
  line += '"';
  AppendField({"level", NameOf(level)}, line);
  AppendField({"service", sink.service}, line);
  AppendField({"message", message}, line);
  for (const Field& field : fields) AppendField(field, line);
  line += '}';
  sink.logger->log(ToSpdlog(level), line);
}

}  // namespace postern::telemetry
