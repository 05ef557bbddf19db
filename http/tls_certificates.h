// The certificate and key that a listener shows, read again when their files change.
#pragma once

#include <array>
#include <boost/asio/ssl/context.hpp>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace postern::http {

/// Thread-safe.
class TlsCertificates {
 public:
  /// Refuses: kInvalidArgument, naming the file.
  static absl::StatusOr<std::unique_ptr<TlsCertificates>> Load(std::string certificate_file, std::string key_file);

  /// For the next handshake; handshakes under way keep theirs.
  std::shared_ptr<boost::asio::ssl::context> current() const;

  /// Reads the files. The old pair stays if the new one is broken. Refuses: kInvalidArgument.
  absl::Status Reload();
  /// The same if the files are not those last read; logs how it went.
  void ReloadIfChanged();

 private:
  // When it was written, and as which file: a replaced one may carry an old time.
  struct Stamp {
    std::int64_t seconds = 0;
    std::int64_t nanoseconds = 0;
    std::uint64_t inode = 0;
    std::int64_t size = -1;
    bool operator==(const Stamp&) const = default;
  };
  using Stamps = std::array<Stamp, 2>;

  TlsCertificates(std::string certificate_file, std::string key_file);
  static Stamp StampOf(const std::string& file);
  Stamps StampsNow() const { return {StampOf(certificate_file_), StampOf(key_file_)}; }

  const std::string certificate_file_;
  const std::string key_file_;
  mutable std::mutex mutex_;
  Stamps last_read_;
  std::shared_ptr<boost::asio::ssl::context> current_;
};

}  // namespace postern::http
