#include "posternctl/secret_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "matrix/refusal.h"

namespace postern::posternctl {
namespace {

absl::Status Failed(const std::string& path) {
  return matrix::Refuse(matrix::Reason::kInvalidArgument, fmt::format("{}: {}", path, std::strerror(errno)));
}

/// So that a new name in it outlives a crash.
absl::Status SyncDirectoryOf(const std::string& path) {
  std::filesystem::path directory = std::filesystem::path(path).parent_path();
  if (directory.empty()) directory = ".";
  const int descriptor = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return Failed(directory.string());
  const bool synced = fsync(descriptor) == 0;
  close(descriptor);
  return synced ? absl::OkStatus() : Failed(directory.string());
}

}  // namespace

absl::Status WriteNewSecret(const std::string& path, const std::string& text) {
  const int descriptor = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (descriptor < 0) return Failed(path);
  const bool written =
      write(descriptor, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && fsync(descriptor) == 0;
  if (close(descriptor) != 0 || !written) {
    return matrix::Refuse(matrix::Reason::kInvalidArgument, fmt::format("{}: could not be written", path));
  }
  return absl::OkStatus();
}

absl::Status ReplaceSecret(const std::string& path, const std::string& text) {
  const std::string beside = path + ".new";
  std::remove(beside.c_str());  // of a run that was cut off
  if (absl::Status status = WriteNewSecret(beside, text); !status.ok()) return status;
  if (std::rename(beside.c_str(), path.c_str()) != 0) {
    absl::Status status = Failed(path);
    std::remove(beside.c_str());
    return status;
  }
  return SyncDirectoryOf(path);
}

}  // namespace postern::posternctl
