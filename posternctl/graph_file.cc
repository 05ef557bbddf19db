#include "posternctl/graph_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <string_view>

#include "matrix/refusal.h"

extern char** environ;

namespace postern::posternctl {
namespace {

using matrix::Reason;
using matrix::Refuse;

absl::Status Trouble(std::string_view what, int error) {
  return Refuse(Reason::kInvalidArgument, fmt::format("{}: {}", what, std::strerror(error)));
}

absl::Status WriteFile(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text;
  file.close();
  return file ? absl::OkStatus() : Trouble(path, errno);
}

bool WriteAll(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(descriptor, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

/// Runs `dot`, giving it `text`; it writes the file itself.
absl::Status RunDot(const std::string& path, const std::string& text) {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return Trouble("pipe", errno);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[0], STDIN_FILENO);
  std::string program = "dot", format = "-Tsvg", output = "-o" + path;
  std::array<char*, 4> arguments{program.data(), format.data(), output.data(), nullptr};
  pid_t child = 0;
  const int spawned = posix_spawnp(&child, "dot", &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[0]);
  if (spawned != 0) {
    close(ends[1]);
    if (spawned != ENOENT) return Trouble("dot", spawned);
    return Refuse(Reason::kInvalidArgument,
                  "SVG is drawn by Graphviz's `dot`, which is not here: install graphviz, or ask for a .dot file");
  }
  const bool given = WriteAll(ends[1], text);
  close(ends[1]);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (given && WIFEXITED(status) && WEXITSTATUS(status) == 0) return absl::OkStatus();
  return Refuse(Reason::kInvalidArgument, fmt::format("{}: `dot` could not draw it", path));
}

}  // namespace

absl::Status CheckGraphFile(const std::string& path) {
  if (path.ends_with(".dot") || path.ends_with(".gv") || path.ends_with(".svg")) return absl::OkStatus();
  return Refuse(Reason::kInvalidArgument, fmt::format("{}: a picture's name ends in .dot, .gv or .svg", path));
}

absl::Status WriteGraph(const std::string& path, const std::string& dot) {
  if (absl::Status known = CheckGraphFile(path); !known.ok()) return known;
  return path.ends_with(".svg") ? RunDot(path, dot) : WriteFile(path, dot);
}

}  // namespace postern::posternctl
