#include "telemetry/trace.h"

#include <algorithm>
#include <array>
#include <random>

#include "fmt/format.h"

namespace postern::telemetry {
namespace {

bool IsLowerHex(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return ('0' <= c && c <= '9') || ('a' <= c && c <= 'f'); });
}

bool IsAllZero(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c == '0'; });
}

std::uint64_t RandomBits() {
  thread_local std::mt19937_64 source{std::random_device{}() | (std::uint64_t{std::random_device{}()} << 32)};
  return source() | 1;  // never zero, which would be an invalid id
}

}  // namespace

TraceContext NewTrace() {
  return {fmt::format("{:016x}{:016x}", RandomBits(), RandomBits()), fmt::format("{:016x}", RandomBits()), false};
}

TraceContext ChildOf(const TraceContext& parent) {
  return {parent.trace_id, fmt::format("{:016x}", RandomBits()), parent.sampled};
}

std::optional<TraceContext> ParseTraceparent(std::string_view header) {
  constexpr std::size_t kLength = 55;
  if (header.size() < kLength || header[2] != '-' || header[35] != '-' || header[52] != '-') return std::nullopt;
  const std::string_view version = header.substr(0, 2), trace = header.substr(3, 32), span = header.substr(36, 16),
                         flags = header.substr(53, 2);
  const bool longer = header.size() > kLength;
  if (!IsLowerHex(version) || version == "ff" || (longer && (version == "00" || header[kLength] != '-')))
    return std::nullopt;
  if (!IsLowerHex(trace) || !IsLowerHex(span) || !IsLowerHex(flags)) return std::nullopt;
  if (IsAllZero(trace) || IsAllZero(span)) return std::nullopt;
  return TraceContext{std::string(trace), std::string(span),
                      ((flags[1] <= '9' ? flags[1] - '0' : flags[1] - 'a') & 1) != 0};
}

std::string FormatTraceparent(const TraceContext& trace) {
  return fmt::format("00-{}-{}-{}", trace.trace_id, trace.span_id, trace.sampled ? "01" : "00");
}

}  // namespace postern::telemetry
