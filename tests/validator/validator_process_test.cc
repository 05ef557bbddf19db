// The program: starts in under a second, tells its ports, is healthy, and ends in order.
#include <fcntl.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "fmt/format.h"
#include "matrix/json.h"
#include "postern/validator/v1/validator.grpc.pb.h"
#include "tests/support/judging_request.h"

extern char** environ;

namespace postern::validator {
namespace {

namespace fs = std::filesystem;

class ValidatorProcess : public testing::Test {
 protected:
  ValidatorProcess() { directory_ = fs::temp_directory_path() / fmt::format("postern-validator-test-{}", getpid()); }
  void SetUp() override { fs::create_directories(directory_); }
  void TearDown() override {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
    fs::remove_all(directory_);
  }

  void Run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), POSTERN_VALIDATOR);
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, (directory_ / "log").c_str(),
                                     O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ASSERT_EQ(posix_spawn(&pid_, POSTERN_VALIDATOR, &actions, nullptr, argv.data(), environ), 0);
    posix_spawn_file_actions_destroy(&actions);
  }
  int ExitStatus() {
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  static std::string Contents(const fs::path& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  /// The port of that name in the port file, waiting for the file.
  std::optional<std::int64_t> Port(std::string_view name) const {
    const absl::Time deadline = absl::Now() + absl::Seconds(20);
    while (!fs::exists(directory_ / "ports") && absl::Now() < deadline) std::this_thread::yield();
    const auto json = matrix::ParseJson(Contents(directory_ / "ports"));
    const matrix::Json* port = json.ok() && json->AsObject() ? json->AsObject()->Find(name) : nullptr;
    return port && port->AsInteger() ? std::optional(*port->AsInteger()) : std::nullopt;
  }

  fs::path directory_;
  pid_t pid_ = 0;
};

TEST_F(ValidatorProcess, StartsServesAndEndsInOrder) {
  Run({"--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--plaintext", "--port-file", directory_ / "ports"});
  const auto port = Port("grpc");
  ASSERT_TRUE(port.has_value()) << Contents(directory_ / "log");
  EXPECT_TRUE(Port("admin").has_value());

  const auto stub = v1::Validator::NewStub(
      grpc::CreateChannel(fmt::format("127.0.0.1:{}", *port), grpc::InsecureChannelCredentials()));
  const support::TestRoom room = support::RoomBuilder("10").Member("@ann:b.example", "invite").Build();
  grpc::ClientContext context;
  v1::ValidateResponse response;
  const auto request = support::ValidateRequestFor(room, room.Leave("@ann:b.example"));
  ASSERT_TRUE(stub->Validate(&context, request, &response).ok());
  EXPECT_EQ(response.verdict().outcome(), matrix::v1::OUTCOME_ACCEPTED);

  kill(pid_, SIGTERM);
  EXPECT_EQ(ExitStatus(), 0);
  const std::string log = Contents(directory_ / "log");
  EXPECT_NE(log.find("\"listening\""), std::string::npos) << log;
  EXPECT_NE(log.find("\"judged\""), std::string::npos) << log;
}

TEST_F(ValidatorProcess, WrongConfigurationEndsWithTwo) {
  Run({"--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"});  // neither TLS files nor plaintext
  EXPECT_EQ(ExitStatus(), 2);
  Run({"--no-such-flag"});
  EXPECT_EQ(ExitStatus(), 2);
}

}  // namespace
}  // namespace postern::validator
