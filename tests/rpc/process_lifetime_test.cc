// Alone in its program: the signals go to the whole process.
#include "rpc/process_lifetime.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>

namespace postern::rpc {
namespace {

TEST(ProcessLifetime, ReloadsAtHangupAndEndsAtTerm) {
  BlockSignals();
  ::kill(::getpid(), SIGHUP);
  int reloads = 0;
  WaitForEnd([&reloads] {
    ++reloads;
    ::kill(::getpid(), SIGTERM);
  });
  EXPECT_EQ(reloads, 1);
}

TEST(ProcessLifetime, EndsAtInterrupt) {
  BlockSignals();
  ::kill(::getpid(), SIGINT);
  WaitForEnd([] { FAIL(); });
}

TEST(ProcessLifetime, LingersUntilItIsToldToEndAgain) {
  BlockSignals();
  ::kill(::getpid(), SIGHUP);  // what is asked of a service that ends makes no difference
  ::kill(::getpid(), SIGTERM);
  Linger(absl::Hours(24));
  Linger(absl::ZeroDuration());
}

TEST(PortFile, IsWrittenWhole) {
  const std::filesystem::path file =
      std::filesystem::temp_directory_path() / ("postern-ports-" + std::to_string(::getpid()));
  ASSERT_TRUE(WritePortFile(file.string(), {{"grpc", 7101}, {"admin", 9090}}).ok());
  std::string text;
  std::getline(std::ifstream(file), text);
  EXPECT_EQ(text, R"({"grpc":7101,"admin":9090})");
  std::filesystem::remove(file);
}

TEST(PortFile, IsNotWrittenUnasked) { EXPECT_TRUE(WritePortFile("", {{"grpc", 1}}).ok()); }

TEST(PortFile, SaysThatItCannotBeWritten) {
  EXPECT_EQ(WritePortFile("/nonexistent/ports", {{"grpc", 1}}).code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace postern::rpc
