// The certificate and key that a listener shows, read again when their files change.
#pragma once

#include <array>
#include <boost/asio/ssl/context.hpp>
#include <memory>
#include <mutex>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "http/file_stamp.h"

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
  using Stamps = std::array<FileStamp, 2>;

  TlsCertificates(std::string certificate_file, std::string key_file);
  Stamps StampsNow() const { return {StampOf(certificate_file_), StampOf(key_file_)}; }

  const std::string certificate_file_;
  const std::string key_file_;
  mutable std::mutex mutex_;
  Stamps last_read_;
  std::shared_ptr<boost::asio::ssl::context> current_;
};

}  // namespace postern::http
