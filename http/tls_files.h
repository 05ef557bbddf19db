// Whether the certificates and keys that settings name can be used: for --check-config, which listens nowhere.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace postern::http {

/// A setting and the file that it names.
struct NamedFile {
  std::string_view setting;  // "certificate_file"
  const std::string& file;
};

/// A PEM chain and its key: both can be read, they belong together, and every certificate is good at `now`. Refuses:
/// kInvalidArgument, naming the setting first.
absl::Status CheckTlsPair(const NamedFile& certificate, const NamedFile& key, absl::Time now);

/// A file of authorities: it holds a PEM certificate, and all that it holds are good at `now`. Refuses the same.
absl::Status CheckAuthorities(const NamedFile& authorities, absl::Time now);

/// What every service's settings name.
struct ServiceFiles {
  bool plaintext;
  const std::string& certificate_file;
  const std::string& key_file;
  const std::string& ca_file;
  const std::string& otlp_ca_file;
};

/// Of a service's configuration: all name these alike.
template <typename Config>
ServiceFiles FilesOf(const Config& config) {
  return {.plaintext = config.between_services.plaintext,
          .certificate_file = config.between_services.certificate_file,
          .key_file = config.between_services.key_file,
          .ca_file = config.between_services.ca_file,
          .otlp_ca_file = config.spans.ca_file};
}

/// What is wrong with them, in their order; empty: nothing.
std::vector<absl::Status> CheckServiceFiles(const ServiceFiles& files, absl::Time now);

}  // namespace postern::http
