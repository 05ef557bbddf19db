#include "tests/flow/running_stack.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string_view>
#include <thread>
#include <utility>

#include "absl/time/clock.h"
#include "http/http_client.h"
#include "matrix/json.h"
#include "tests/flow/must.h"

namespace postern::flow {
namespace {

constexpr absl::Duration kPoll = absl::Milliseconds(20);
constexpr absl::Duration kEndPatience = absl::Seconds(20);

/// Runs a shell command to its end; its standard output. Throws if it fails.
std::string OutputOf(const std::string& command) {
  std::FILE* pipe = popen(command.c_str(), "r");
  Must(command, pipe != nullptr);
  std::string output;
  std::array<char, 4096> bytes;
  while (const std::size_t size = std::fread(bytes.data(), 1, bytes.size(), pipe)) output.append(bytes.data(), size);
  Must(command, pclose(pipe) == 0);
  return output;
}

std::string DevCommand(std::string_view what, const std::string& directory) {
  return fmt::format("POSTERN_BIN_DIR='{}' '{}' {} --state-dir '{}/state'", POSTERN_BIN_DIR, POSTERN_DEV, what,
                     directory);
}

/// Words that end in a null byte, as /proc has them.
std::vector<std::string> WordsOf(const std::string& file) {
  std::ifstream stream(file, std::ios::binary);
  std::vector<std::string> words;
  for (std::string word; std::getline(stream, word, '\0');) words.push_back(word);
  return words;
}

const matrix::Json& Member(const matrix::Json& object, std::string_view key) {
  const matrix::JsonObject* members = object.AsObject();
  const matrix::Json* member = members == nullptr ? nullptr : members->Find(key);
  Must(fmt::format("'{}' in what ./dev up says", key), member != nullptr);
  return *member;
}

const matrix::Json& Element(const matrix::Json& array, std::size_t number) {
  Must("an element of a list that ./dev up prints", array.AsArray() != nullptr && number < array.AsArray()->size());
  return (*array.AsArray())[number];
}

std::string AddressOf(std::string_view url) { return std::string(url.substr(url.rfind('/') + 1)); }

/// The flags that put a process onto the ports which it had.
std::vector<std::string> SamePorts(const ServiceProcess& process) {
  const bool gateway = process.service == "gateway";
  std::vector<std::string> flags{"--admin-listen", AddressOf(process.admin),
                                 gateway ? "--admin-grpc-listen" : "--listen", process.grpc};
  if (gateway) flags.insert(flags.end(), {"--listen", AddressOf(process.federation)});
  return flags;
}

std::vector<char*> Pointers(std::vector<std::string>& words) {
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  return pointers;
}

/// Starts a program that ends when this thread does; what it says is appended to `log`.
pid_t StartChild(std::vector<std::string> command, std::vector<std::string> environment, const std::string& log) {
  const std::vector<char*> arguments = Pointers(command);
  const std::vector<char*> variables = Pointers(environment);
  const int output = open(log.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  const pid_t pid = fork();
  if (pid != 0) {
    close(output);
    Must("a process", pid > 0);
    return pid;
  }
  // Between fork and exec of a program with threads: system calls only.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  setsid();
  dup2(output, STDOUT_FILENO);
  dup2(output, STDERR_FILENO);
  execve(arguments[0], arguments.data(), variables.data());
  _exit(127);
}

void AwaitEnd(const ServiceProcess& process) {
  if (process.is_child) {
    waitpid(process.pid, nullptr, 0);
    return;
  }
  // Whoever started it has gone: its number may stand for another process as soon as it has ended.
  const auto descriptor = static_cast<int>(syscall(SYS_pidfd_open, process.pid, 0));
  if (descriptor < 0) return;
  pollfd ended{descriptor, POLLIN, 0};
  const bool gone = poll(&ended, 1, static_cast<int>(absl::ToInt64Milliseconds(kEndPatience))) == 1;
  close(descriptor);
  Must(fmt::format("the end of {}", process.service), gone);
}

/// `missing` says what it waits for.
bool IsReady(http::HttpClient& client, const ServiceProcess& process, std::string& missing) {
  const auto answer = client.Send({.url = process.admin + "/readyz"});
  missing = answer.ok() ? answer->body : std::string(matrix::DetailOf(answer.status()));
  return answer.ok() && answer->status == 200;
}

}  // namespace

void Signal(const ServiceProcess& process, int signal) {
  Must(fmt::format("a signal to {}", process.service), kill(process.pid, signal) == 0);
}

void AwaitStop(const ServiceProcess& process) {
  const auto all_stopped = [&process] {
    for (const auto& task : std::filesystem::directory_iterator(fmt::format("/proc/{}/task", process.pid))) {
      std::ifstream file(task.path() / "stat");
      const std::string stat(std::istreambuf_iterator<char>(file), {});
      if (stat.find(") T") == std::string::npos) return false;
    }
    return true;
  };
  const absl::Time deadline = absl::Now() + absl::Seconds(30);
  while (!all_stopped()) {
    Must("a process that stops when told to", absl::Now() < deadline);
    std::this_thread::yield();
  }
}

RunningStack::RunningStack(const StackOptions& options) {
  std::string directory = "/tmp/postern-flow-XXXXXX";
  Must("a temporary directory", mkdtemp(directory.data()) != nullptr);
  directory_ = directory;
  std::string command = DevCommand("up", directory_) + fmt::format(" --gateways {}", options.gateways) +
                        " --allow-private-networks --allow-seeding" +
                        (options.insecure_federation_tls ? " --insecure-federation-tls" : "");
  if (!options.gateway_settings.empty()) {
    const std::string file = directory_ + "/gateway.yaml";
    std::ofstream(file) << options.gateway_settings;
    command += fmt::format(" --rate-limits '{}'", file);
  }
  try {
    ReadDescription(OutputOf(command));
  } catch (...) {
    Down();
    throw;
  }
}

RunningStack::~RunningStack() {
  for (const auto& [name, processes] : services_) {
    for (const ServiceProcess& process : processes) {
      if (!process.is_child) continue;
      kill(process.pid, SIGKILL);
      waitpid(process.pid, nullptr, 0);
    }
  }
  Down();
}

void RunningStack::Down() {
  const int status = std::system(DevCommand("down", directory_).c_str());
  if (status != 0) std::fprintf(stderr, "./dev down ended with status %d\n", status);
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

void RunningStack::ReadDescription(const std::string& json) {
  const matrix::Json stack = Must("what ./dev up prints", matrix::ParseJson(json));
  server_name_ = *Member(stack, "server_name").AsString();
  dsn_ = *Member(stack, "dsn").AsString();
  for (const char* service : {"gateway", "validator", "store"}) {
    const matrix::Json& pids = Member(Member(stack, "pids"), service);
    for (std::size_t number = 0; number < pids.AsArray()->size(); ++number) {
      ServiceProcess process{.service = service,
                             .pid = static_cast<pid_t>(*Element(pids, number).AsInteger()),
                             .grpc = *Element(Member(Member(stack, "grpc"), service), number).AsString(),
                             .admin = *Element(Member(Member(stack, "admin"), service), number).AsString()};
      if (process.service == "gateway") {
        process.federation = *Element(Member(stack, "federation_urls"), number).AsString();
      }
      process.command = WordsOf(fmt::format("/proc/{}/cmdline", process.pid));
      process.environment = WordsOf(fmt::format("/proc/{}/environ", process.pid));
      services_[service].push_back(std::move(process));
    }
  }
}

ServiceProcess& RunningStack::Own(const ServiceProcess& process) {
  for (ServiceProcess& own : services_.at(process.service)) {
    if (own.grpc == process.grpc) return own;
  }
  throw std::runtime_error("a process of another stack");
}

void RunningStack::Kill(const ServiceProcess& process) {
  const ServiceProcess& own = Own(process);
  Signal(own, SIGKILL);
  AwaitEnd(own);
}

void RunningStack::Restart(const ServiceProcess& process) {
  ServiceProcess& own = Own(process);
  std::vector<std::string> command = own.command;
  const auto flags = SamePorts(own);
  command.insert(command.end(), flags.begin(), flags.end());
  own.pid = StartChild(std::move(command), own.environment, fmt::format("{}/{}.log", directory_, own.service));
  own.is_child = true;
}

void RunningStack::KillAndRestart(const ServiceProcess& process, const std::vector<std::string>& variables) {
  Kill(process);
  auto& environment = Own(process).environment;
  environment.insert(environment.end(), variables.begin(), variables.end());
  Restart(process);
}

void RunningStack::WaitUntilReady(absl::Duration patience) const {
  http::HttpClient client({.allow_private_networks = true});
  const absl::Time deadline = absl::Now() + patience;
  for (const char* service : {"validator", "store", "gateway"}) {  // whom it asks before who asks
    for (const ServiceProcess& process : services_.at(service)) {
      std::string missing;
      while (!IsReady(client, process, missing)) {
        Must(fmt::format("{} ready ({})", service, missing), absl::Now() < deadline);
        absl::SleepFor(kPoll);
      }
    }
  }
}

}  // namespace postern::flow
