#include "http/self_signed_certificate.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <array>
#include <memory>

#include "http/ip_address.h"
#include "matrix/refusal.h"

namespace postern::http {
namespace {

constexpr long kHour = 60L * 60;
constexpr long kThirtyDays = 30L * 24 * kHour;

template <auto Free>
struct Freed {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Freed<X509_free>>;
using Memory = std::unique_ptr<BIO, Freed<BIO_free_all>>;

bool AddExtension(X509* certificate, int id, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  const std::unique_ptr<X509_EXTENSION, Freed<X509_EXTENSION_free>> extension(
      X509V3_EXT_conf_nid(nullptr, &context, id, value.c_str()));
  return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
}

bool SetNames(X509* certificate, const std::string& host) {
  X509_NAME* name = X509_get_subject_name(certificate);
  const auto* text = reinterpret_cast<const unsigned char*>("Postern");
  return X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, text, -1, -1, 0) == 1 &&
         X509_set_issuer_name(certificate, name) == 1 &&
         AddExtension(certificate, NID_subject_alt_name, (IsIpLiteral(host) ? "IP:" : "DNS:") + host) &&
         AddExtension(certificate, NID_basic_constraints, "critical,CA:TRUE") &&
         AddExtension(certificate, NID_subject_key_identifier, "hash");
}

bool SetSerialAndTimes(X509* certificate) {
  std::array<unsigned char, 8> serial;
  if (RAND_bytes(serial.data(), static_cast<int>(serial.size())) != 1) return false;
  serial[0] &= 0x7fU;  // a positive number
  const std::unique_ptr<BIGNUM, Freed<BN_free>> number(
      BN_bin2bn(serial.data(), static_cast<int>(serial.size()), nullptr));
  return number && BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr &&
         X509_set_version(certificate, 2) == 1 &&  // counted from 0: version 3
         X509_gmtime_adj(X509_getm_notBefore(certificate), -kHour) != nullptr &&
         X509_gmtime_adj(X509_getm_notAfter(certificate), kThirtyDays) != nullptr;
}

std::string TextOf(BIO* memory) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(memory, &data);
  return {data, static_cast<std::size_t>(size)};
}

absl::Status WriteFile(const std::string& file, const std::string& text, mode_t mode) {
  const int descriptor = ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
  const bool written =
      descriptor >= 0 && ::write(descriptor, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  const bool closed = descriptor < 0 || ::close(descriptor) == 0;
  if (written && closed) return absl::OkStatus();
  return matrix::Refuse(matrix::Reason::kInvalidArgument, fmt::format("cannot write {}", file));
}

}  // namespace

absl::StatusOr<CertificatePem> MakeSelfSignedCertificate(const std::string& host) {
  const auto failed = [] { return matrix::Refuse(matrix::Reason::kInternal, "OpenSSL could not make a certificate"); };
  const Key key(EVP_EC_gen("P-256"));
  const Certificate certificate(X509_new());
  const bool made = key && certificate && X509_set_pubkey(certificate.get(), key.get()) == 1 &&
                    SetSerialAndTimes(certificate.get()) && SetNames(certificate.get(), host) &&
                    X509_sign(certificate.get(), key.get(), EVP_sha256()) > 0;
  if (!made) return failed();
  const Memory certificate_text(BIO_new(BIO_s_mem())), key_text(BIO_new(BIO_s_mem()));
  const bool written = PEM_write_bio_X509(certificate_text.get(), certificate.get()) == 1 &&
                       PEM_write_bio_PrivateKey(key_text.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1;
  if (!written) return failed();
  return CertificatePem{TextOf(certificate_text.get()), TextOf(key_text.get())};
}

absl::Status WritePem(const CertificatePem& pem, const std::string& certificate_file, const std::string& key_file) {
  if (auto status = WriteFile(certificate_file, pem.certificate, 0644); !status.ok()) return status;
  return WriteFile(key_file, pem.key, 0600);
}

}  // namespace postern::http
