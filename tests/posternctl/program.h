// posternctl as a process.
#pragma once

#include <string>
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

}  // namespace postern::posternctl
