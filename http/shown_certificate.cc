#include "http/shown_certificate.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <ctime>
#include <memory>
#include <string_view>

#include "absl/time/clock.h"
#include "http/ip_address.h"

namespace postern::http {
namespace {

constexpr int kNapMs = 10;

struct Free {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(BIO* bio) const { BIO_free_all(bio); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(GENERAL_NAMES* names) const { GENERAL_NAMES_free(names); }
};

std::string WithoutBrackets(const std::string& host) {
  return host.starts_with('[') && host.ends_with(']') ? host.substr(1, host.size() - 2) : host;
}
std::string WithBrackets(const std::string& host) {
  return host.find(':') != std::string::npos && !host.starts_with('[') ? "[" + host + "]" : host;
}

absl::Status Failed(const std::string& host, int port) {
  const char* said = ERR_reason_error_string(ERR_peek_last_error());
  ERR_clear_error();
  return absl::UnavailableError(
      fmt::format("{}:{}: no TLS: {}", host, port, said == nullptr ? "no answer in time" : said));
}

std::string AddressText(const ASN1_OCTET_STRING* address) {
  char text[INET6_ADDRSTRLEN] = "";
  const int family = ASN1_STRING_length(address) == sizeof(in_addr) ? AF_INET : AF_INET6;
  if (ASN1_STRING_length(address) != sizeof(in_addr) && ASN1_STRING_length(address) != sizeof(in6_addr)) return "";
  return inet_ntop(family, ASN1_STRING_get0_data(address), text, sizeof(text)) == nullptr ? "" : text;
}

std::vector<std::string> NamesOf(const X509* certificate) {
  std::vector<std::string> names;
  const std::unique_ptr<GENERAL_NAMES, Free> all(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; all != nullptr && i < sk_GENERAL_NAME_num(all.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(all.get(), i);
    if (name->type == GEN_DNS) {
      names.emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName)),
                         static_cast<std::size_t>(ASN1_STRING_length(name->d.dNSName)));
    } else if (name->type == GEN_IPADD) {
      names.push_back(AddressText(name->d.iPAddress));
    }
  }
  return names;
}

absl::Time TimeOf(const ASN1_TIME* time) {
  std::tm parts{};
  return ASN1_TIME_to_tm(time, &parts) == 1 ? absl::FromTM(parts, absl::UTCTimeZone()) : absl::InfinitePast();
}

bool IsFor(X509* certificate, const std::string& name) {
  return IsIpLiteral(name) ? X509_check_ip_asc(certificate, name.c_str(), 0) == 1
                           : X509_check_host(certificate, name.data(), name.size(), 0, nullptr) == 1;
}

}  // namespace

absl::StatusOr<ShownCertificate> FetchCertificate(const std::string& host, int port, const std::string& name,
                                                  const std::string& ca_file, absl::Time deadline) {
  ERR_clear_error();
  const std::unique_ptr<SSL_CTX, Free> context(SSL_CTX_new(TLS_client_method()));
  SSL_CTX_set_default_verify_paths(context.get());
  if (!ca_file.empty() && SSL_CTX_load_verify_file(context.get(), ca_file.c_str()) != 1) {
    ERR_clear_error();
    return absl::InvalidArgumentError(fmt::format("{}: cannot be read, or holds no PEM certificate", ca_file));
  }
  const std::unique_ptr<BIO, Free> connection(BIO_new_ssl_connect(context.get()));
  SSL* ssl = nullptr;
  BIO_get_ssl(connection.get(), &ssl);
  SSL_set_verify(ssl, SSL_VERIFY_NONE, nullptr);  // what is wrong with it is looked at afterwards
  const std::string bare = WithoutBrackets(name);
  if (!IsIpLiteral(bare)) SSL_set_tlsext_host_name(ssl, bare.c_str());
  BIO_set_conn_hostname(connection.get(), fmt::format("{}:{}", WithBrackets(host), port).c_str());
  BIO_set_nbio(connection.get(), 1);
  const auto seconds = static_cast<int>(std::max<std::int64_t>(1, absl::ToInt64Seconds(deadline - absl::Now())));
  if (BIO_do_connect_retry(connection.get(), seconds, kNapMs) != 1) return Failed(host, port);
  const std::unique_ptr<X509, Free> certificate(SSL_get1_peer_certificate(ssl));
  if (certificate == nullptr) return Failed(host, port);
  const long trusted = SSL_get_verify_result(ssl);
  ERR_clear_error();
  return ShownCertificate{.names = NamesOf(certificate.get()),
                          .from = TimeOf(X509_get0_notBefore(certificate.get())),
                          .until = TimeOf(X509_get0_notAfter(certificate.get())),
                          .mistrust = trusted == X509_V_OK ? "" : X509_verify_cert_error_string(trusted),
                          .is_for_host = IsFor(certificate.get(), bare)};
}

}  // namespace postern::http
