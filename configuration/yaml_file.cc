#include "configuration/yaml_file.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <fstream>
#include <set>
#include <stdexcept>

namespace postern::configuration {
namespace {

constexpr int kDeepest = 32;

// Leaves through ReadYamlFile, where yaml-cpp's own exceptions end too.
struct Mistake : std::runtime_error {
  Mistake(int at, const std::string& what) : std::runtime_error(what), line(at) {}
  int line;
};

int LineOf(const YAML::Node& node) { return node.Mark().line + 1; }

YamlValue Read(const YAML::Node& node, int depth);

void ReadMembers(const YAML::Node& node, int depth, YamlValue& into) {
  std::set<std::string> seen;
  for (const auto& member : node) {
    const int line = LineOf(member.first);
    if (!member.first.IsScalar()) throw Mistake(line, "expected a plain key");
    const std::string& key = member.first.Scalar();
    if (!seen.insert(key).second) throw Mistake(line, fmt::format("{}: the key is there twice", key));
    YamlValue value = Read(member.second, depth + 1);
    value.line = line;
    into.members.push_back({key, std::move(value)});
  }
}

YamlValue Read(const YAML::Node& node, int depth) {
  YamlValue value;
  value.line = LineOf(node);
  if (depth > kDeepest) throw Mistake(value.line, "nested too deeply");
  if (node.IsScalar()) {
    value.kind = YamlValue::Kind::kScalar;
    value.text = node.Scalar();
  } else if (node.IsSequence()) {
    value.kind = YamlValue::Kind::kList;
    for (const auto& item : node) value.items.push_back(Read(item, depth + 1));
  } else if (node.IsMap()) {
    value.kind = YamlValue::Kind::kMap;
    ReadMembers(node, depth, value);
  }
  return value;
}

}  // namespace

absl::StatusOr<YamlValue> ReadYamlFile(const std::string& path) {
  const auto refuse = [&path](int line, std::string_view what) {
    return absl::InvalidArgumentError(line > 0 ? fmt::format("{}:{}: {}", path, line, what)
                                               : fmt::format("{}: {}", path, what));
  };
  try {
    std::ifstream file(path);
    if (!file) return refuse(0, "cannot be read");
    const std::vector<YAML::Node> documents = YAML::LoadAll(file);
    if (file.bad()) return refuse(0, "cannot be read");
    if (documents.empty()) return YamlValue{};
    if (documents.size() > 1) return refuse(LineOf(documents[1]), "expected one document");
    return Read(documents.front(), 0);
  } catch (const Mistake& mistake) {
    return refuse(mistake.line, mistake.what());
  } catch (const YAML::Exception& mistake) {
    return refuse(mistake.mark.line + 1, mistake.msg);
  } catch (const std::exception& mistake) {
    return refuse(0, mistake.what());
  }
}

}  // namespace postern::configuration
