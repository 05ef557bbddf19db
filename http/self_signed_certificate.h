// A certificate that vouches for itself: for a key endpoint that is played, and for tests.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace postern::http {

struct CertificatePem {
  std::string certificate;
  std::string key;  // a secret: P-256, PKCS #8
};

/// A certificate for `host`, a DNS name or an IP literal (brackets of IPv6 left out), valid from an hour ago for 30
/// days. It may stand as its own authority. Refuses: kInternal.
absl::StatusOr<CertificatePem> MakeSelfSignedCertificate(const std::string& host);

/// Writes both; the key file is readable by its owner alone. Refuses: kInvalidArgument, naming the file.
absl::Status WritePem(const CertificatePem& pem, const std::string& certificate_file, const std::string& key_file);

}  // namespace postern::http
