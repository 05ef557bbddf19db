#include "posternctl/key_rotation.h"

#include <fmt/format.h>

#include <sstream>
#include <vector>

#include "matrix/base64.h"
#include "matrix/refusal.h"
#include "posternctl/peer/server_identity.h"

namespace postern::posternctl {
namespace {

using matrix::Reason;
using matrix::Refuse;

std::vector<std::string> LinesOf(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(std::move(line));
  return lines;
}

std::string TextOf(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

std::string FirstWord(const std::string& line) {
  std::istringstream words(line);
  std::string word;
  words >> word;
  return word;
}

bool HoldsKey(const std::string& line) { return peer::ReadKeyText(line).ok(); }

}  // namespace

absl::StatusOr<KeyFiles> Rotate(const KeyFiles& files, std::string_view new_line, absl::Time expired) {
  const auto keys = peer::ReadKeyText(files.keys);
  if (!keys.ok()) return keys.status();
  const auto added = peer::ReadKeyText(new_line);
  if (!added.ok()) return added.status();
  const std::string& new_id = added->front().key_id();
  for (const matrix::SigningKey& key : *keys) {
    if (key.key_id() == new_id) return Refuse(Reason::kInvalidArgument, fmt::format("{} is in use", new_id));
  }

  std::vector<std::string> lines = LinesOf(files.keys);
  for (std::string& line : lines) {
    if (!HoldsKey(line)) continue;
    line = new_line;
    break;
  }
  const matrix::SigningKey& retired = keys->front();
  std::vector<std::string> old_lines;
  for (std::string& line : LinesOf(files.old_keys)) {
    const std::string id = FirstWord(line);
    if (id == new_id) return Refuse(Reason::kInvalidArgument, fmt::format("{} was used before", new_id));
    if (id != retired.key_id()) old_lines.push_back(std::move(line));
  }
  old_lines.push_back(fmt::format("{} {} {}", retired.key_id(), matrix::EncodeBase64(retired.public_key()),
                                  absl::ToUnixMillis(expired)));
  return KeyFiles{TextOf(lines), TextOf(old_lines)};
}

}  // namespace postern::posternctl
