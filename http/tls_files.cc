#include "http/tls_files.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <memory>
#include <utility>

#include "http/certificate_expiry.h"
#include "matrix/refusal.h"

namespace postern::http {
namespace {

struct FreeContext {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};

absl::Status Wrong(const NamedFile& named, std::string_view why) {
  return matrix::Refuse(matrix::Reason::kInvalidArgument, fmt::format("{}: {}: {}", named.setting, named.file, why));
}

/// What OpenSSL said first since it was last asked.
std::string SaidFirst() {
  const char* said = ERR_reason_error_string(ERR_get_error());
  ERR_clear_error();
  return said == nullptr ? "cannot be read" : said;
}

absl::Status CheckTimes(const NamedFile& certificates, absl::Time now) {
  const auto good = TimesOf(certificates.file);
  if (!good.ok()) return Wrong(certificates, "cannot be read, or holds no PEM certificate");
  const auto in_utc = [](absl::Time time) { return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone()); };
  if (good->from > now) return Wrong(certificates, "a certificate is not good before " + in_utc(good->from));
  if (good->until <= now) return Wrong(certificates, "a certificate ended at " + in_utc(good->until));
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckTlsPair(const NamedFile& certificate, const NamedFile& key, absl::Time now) {
  const std::unique_ptr<SSL_CTX, FreeContext> context(SSL_CTX_new(TLS_server_method()));
  // Without one OpenSSL asks the terminal for the password of an encrypted key.
  SSL_CTX_set_default_passwd_cb(context.get(), [](char*, int, int, void*) { return 0; });
  ERR_clear_error();
  if (SSL_CTX_use_certificate_chain_file(context.get(), certificate.file.c_str()) != 1) {
    return Wrong(certificate, SaidFirst());
  }
  if (SSL_CTX_use_PrivateKey_file(context.get(), key.file.c_str(), SSL_FILETYPE_PEM) != 1) {
    const bool other = ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_VALUES_MISMATCH;
    const std::string said = SaidFirst();
    return Wrong(key, other ? "is not the key of the certificate in " + certificate.file : said);
  }
  if (SSL_CTX_check_private_key(context.get()) != 1) {
    ERR_clear_error();
    return Wrong(key, "is not the key of the certificate in " + certificate.file);
  }
  return CheckTimes(certificate, now);
}

absl::Status CheckAuthorities(const NamedFile& authorities, absl::Time now) { return CheckTimes(authorities, now); }

std::vector<absl::Status> CheckServiceFiles(const ServiceFiles& files, absl::Time now) {
  std::vector<absl::Status> mistakes;
  const auto note = [&mistakes](absl::Status status) {
    if (!status.ok()) mistakes.push_back(std::move(status));
  };
  const NamedFile certificate{"certificate_file", files.certificate_file};
  const NamedFile key{"key_file", files.key_file};
  const NamedFile authorities{"ca_file", files.ca_file};
  if (!files.plaintext) {
    for (const NamedFile& named : {certificate, key, authorities}) {
      if (!named.file.empty()) continue;
      note(matrix::Refuse(matrix::Reason::kInvalidArgument,
                          fmt::format("{}: expected a file, or plaintext between the services", named.setting)));
    }
  }
  if (!files.plaintext && mistakes.empty()) {
    note(CheckTlsPair(certificate, key, now));
    note(CheckAuthorities(authorities, now));
  }
  if (!files.otlp_ca_file.empty()) note(CheckAuthorities({"otlp_ca_file", files.otlp_ca_file}, now));
  return mistakes;
}

}  // namespace postern::http
