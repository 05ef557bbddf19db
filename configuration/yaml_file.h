// A YAML file as a tree with line numbers, each map's keys known to differ.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace postern::configuration {

struct YamlMember;

struct YamlValue {
  enum class Kind { kNothing, kScalar, kList, kMap };
  Kind kind = Kind::kNothing;
  int line = 1;                     // counted from 1
  std::string text;                 // of a scalar
  std::vector<YamlValue> items;     // of a list
  std::vector<YamlMember> members;  // of a map, in the file's order
};

struct YamlMember {
  std::string name;
  YamlValue value;  // whose line is that of the name
};

/// Reads the one document in `path`; an empty file is kNothing. kInvalidArgument, "FILE:LINE: what is wrong", if it
/// cannot be read, is not YAML, has a key twice in one map, or nests more than 32 deep.
absl::StatusOr<YamlValue> ReadYamlFile(const std::string& path);

}  // namespace postern::configuration
