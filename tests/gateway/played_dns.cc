#include "tests/gateway/played_dns.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "matrix/json.h"

namespace postern::gateway {
namespace {

std::string ReadLine(std::FILE* stream) {
  std::string line;
  for (int c = std::fgetc(stream); c != EOF && c != '\n'; c = std::fgetc(stream)) line.push_back(static_cast<char>(c));
  return line;
}

}  // namespace

PlayedDns& PlayedDns::Emptied() {
  static PlayedDns dns;
  dns.Tell(R"({"forget": true})");
  return dns;
}

PlayedDns::PlayedDns() {
  std::array<int, 2> commands{}, replies{};
  EXPECT_EQ(pipe2(commands.data(), O_CLOEXEC), 0);
  EXPECT_EQ(pipe2(replies.data(), O_CLOEXEC), 0);
  pid_ = fork();
  if (pid_ == 0) {
    // Between fork and exec of a program with threads: system calls only.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(commands[0], STDIN_FILENO);
    dup2(replies[1], STDOUT_FILENO);
    execlp("python3", "python3", "-IBS", "tests/gateway/played_dns.py", nullptr);  // -I -S: starts in half the time
    _exit(127);
  }
  close(commands[0]);
  close(replies[1]);
  commands_ = fdopen(commands[1], "w");
  replies_ = fdopen(replies[0], "r");
  address_ = "127.0.0.1:" + ReadLine(replies_);
  EXPECT_NE(address_, "127.0.0.1:") << "tests/gateway/played_dns.py did not start";
}

PlayedDns::~PlayedDns() {
  std::fclose(commands_);  // which ends it
  std::fclose(replies_);
  waitpid(pid_, nullptr, 0);
}

void PlayedDns::Set(std::string_view name, std::string_view type, std::string_view records, int ttl) {
  Tell(fmt::format(R"({{"name": "{}", "type": "{}", "answers": [{}], "ttl": {}}})", name, type, records, ttl));
}

void PlayedDns::SetInTurn(std::string_view name, std::string_view type, std::string_view lists) {
  Tell(fmt::format(R"({{"name": "{}", "type": "{}", "answers": {}}})", name, type, lists));
}

void PlayedDns::SetForTcp(std::string_view name, std::string_view type, std::string_view records) {
  Tell(fmt::format(R"({{"name": "{}", "type": "{}", "answers": [{}], "only_by_tcp": true}})", name, type, records));
}

void PlayedDns::Fail(std::string_view name, std::string_view type, int rcode) {
  Tell(fmt::format(R"({{"name": "{}", "type": "{}", "rcode": {}}})", name, type, rcode));
}

void PlayedDns::Silence(std::string_view name, std::string_view type) {
  Tell(fmt::format(R"({{"name": "{}", "type": "{}", "silent": true}})", name, type));
}

std::vector<std::string> PlayedDns::Asked() {
  std::vector<std::string> asked;
  const auto reply = matrix::ParseJson(Tell(R"({"asked": true})"));
  EXPECT_TRUE(reply.ok() && reply->AsArray() != nullptr);
  if (!reply.ok() || reply->AsArray() == nullptr) return asked;
  for (const matrix::Json& question : *reply->AsArray()) asked.push_back(*question.AsString());
  std::ranges::sort(asked);
  return asked;
}

std::string PlayedDns::Tell(std::string command) {
  std::ranges::replace(command, '\n', ' ');  // a command is a line
  std::fputs((command + "\n").c_str(), commands_);
  std::fflush(commands_);
  return ReadLine(replies_);
}

}  // namespace postern::gateway
