#include "http/certificate_expiry.h"

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <algorithm>
#include <ctime>
#include <memory>

#include "matrix/refusal.h"

namespace postern::http {
namespace {

struct FreeBio {
  void operator()(BIO* bio) const { BIO_free_all(bio); }
};
struct FreeCertificate {
  void operator()(X509* certificate) const { X509_free(certificate); }
};

}  // namespace

absl::StatusOr<Times> TimesOf(const std::string& pem_file) {
  const std::unique_ptr<BIO, FreeBio> file(BIO_new_file(pem_file.c_str(), "r"));
  Times good{absl::InfinitePast(), absl::InfiniteFuture()};
  while (file != nullptr) {
    const std::unique_ptr<X509, FreeCertificate> certificate(PEM_read_bio_X509(file.get(), nullptr, nullptr, nullptr));
    if (certificate == nullptr) break;
    std::tm begin{}, end{};
    if (ASN1_TIME_to_tm(X509_get0_notBefore(certificate.get()), &begin) != 1) break;
    if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate.get()), &end) != 1) break;
    good.from = std::max(good.from, absl::FromTM(begin, absl::UTCTimeZone()));
    good.until = std::min(good.until, absl::FromTM(end, absl::UTCTimeZone()));
  }
  ERR_clear_error();  // reading on until there is no more is an error to OpenSSL
  if (good.until != absl::InfiniteFuture()) return good;
  return matrix::Refuse(matrix::Reason::kInvalidArgument,
                        fmt::format("{} cannot be read, or holds no PEM certificate", pem_file));
}

absl::StatusOr<absl::Time> EarliestEnd(const std::string& pem_file) {
  const auto good = TimesOf(pem_file);
  if (!good.ok()) return good.status();
  return good->until;
}

void ShowCertificate(telemetry::Metrics& metrics, std::string_view name, const std::string& pem_file) {
  if (pem_file.empty()) return;
  const auto end = EarliestEnd(pem_file);
  metrics.SetGauge("postern_certificate_not_after_seconds",
                   end.ok() ? static_cast<double>(absl::ToUnixSeconds(*end)) : 0, {{"certificate", name}});
}

}  // namespace postern::http
