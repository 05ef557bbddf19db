// posternctl as a process.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "matrix/json.h"

namespace postern::posternctl {

struct Ended {
  int status = -1;
  std::string output;
  std::string errors;
  /// `output` as JSON; null if it is none.
  matrix::Json json() const;
};

/// Runs the program to its end, without POSTERN_… variables but for those in `environment` ("NAME=value").
Ended RunPosternctl(const std::vector<std::string>& arguments, const std::vector<std::string>& environment = {});

/// Of what the program said as JSON: a member that is there; its number; its text, "" where it is none.
inline const matrix::Json& Member(const matrix::Json& json, std::string_view name) {
  return *json.AsObject()->Find(name);
}
inline std::int64_t Number(const matrix::Json& json, std::string_view name) { return *Member(json, name).AsInteger(); }
inline std::string Text(const matrix::Json& json, std::string_view name) {
  const std::string* text = Member(json, name).AsString();
  return text ? *text : "";
}

}  // namespace postern::posternctl
