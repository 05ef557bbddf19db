// The certificate that a TLS server shows to whoever connects, as an operator wants to look at it: good or not.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace postern::http {

struct ShownCertificate {
  /// The DNS names and IP addresses that it is for, in its order.
  std::vector<std::string> names{};
  absl::Time from;
  absl::Time until;
  /// Why clients do not trust it, in the words of OpenSSL; empty: they do, if the name is right.
  std::string mistrust{};
  /// Whether it is for the host that was asked for.
  bool is_for_host = false;
};

/// Connects to `host`, a DNS name or an IP literal, and asks for the certificate of `name`, which may be another one.
/// `ca_file`: further authorities, PEM; may be empty. UNAVAILABLE where nobody speaks TLS there until `deadline`.
absl::StatusOr<ShownCertificate> FetchCertificate(const std::string& host, int port, const std::string& name,
                                                  const std::string& ca_file, absl::Time deadline);

}  // namespace postern::http
