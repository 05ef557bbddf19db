#include "tests/posternctl/program.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <string_view>

extern char** environ;

namespace postern::posternctl {
namespace {

// A file in place of a pipe: nothing can fill up.
class Capture {
 public:
  Capture() : descriptor_(mkstemp(path_)) {}
  ~Capture() {
    close(descriptor_);
    unlink(path_);
  }
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;
  int descriptor() const { return descriptor_; }
  std::string Text() const {
    std::ifstream file(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

 private:
  char path_[32] = "/tmp/posternctl-test-XXXXXX";
  int descriptor_;
};

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

matrix::Json Ended::json() const {
  auto parsed = matrix::ParseJson(output);
  return parsed.ok() ? *std::move(parsed) : matrix::Json(nullptr);
}

Ended RunPosternctl(const std::vector<std::string>& arguments, const std::vector<std::string>& environment) {
  std::vector<std::string> command{POSTERNCTL};
  command.insert(command.end(), arguments.begin(), arguments.end());
  std::vector<std::string> variables = environment;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    if (!std::string_view(*variable).starts_with("POSTERN_")) variables.emplace_back(*variable);
  }
  const Capture output;
  const Capture errors;
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, output.descriptor(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, errors.descriptor(), STDERR_FILENO);
  pid_t pid = 0;
  const int failed =
      posix_spawn(&pid, POSTERNCTL, &actions, nullptr, Pointers(command).data(), Pointers(variables).data());
  posix_spawn_file_actions_destroy(&actions);
  Ended ended;
  int status = 0;
  if (failed == 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status)) ended.status = WEXITSTATUS(status);
  ended.output = output.Text();
  ended.errors = errors.Text();
  return ended;
}

}  // namespace postern::posternctl
