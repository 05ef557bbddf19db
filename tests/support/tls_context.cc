#include "tests/support/tls_context.h"

#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

namespace postern::support {

ssl_ctx_st* ServerContextFor(const http::CertificatePem& pem) {
  SSL_CTX* context = SSL_CTX_new(TLS_server_method());
  BIO* certificate_text = BIO_new_mem_buf(pem.certificate.data(), static_cast<int>(pem.certificate.size()));
  BIO* key_text = BIO_new_mem_buf(pem.key.data(), static_cast<int>(pem.key.size()));
  X509* certificate = PEM_read_bio_X509(certificate_text, nullptr, nullptr, nullptr);
  EVP_PKEY* key = PEM_read_bio_PrivateKey(key_text, nullptr, nullptr, nullptr);
  const bool taken = SSL_CTX_use_certificate(context, certificate) == 1 && SSL_CTX_use_PrivateKey(context, key) == 1;
  EVP_PKEY_free(key);
  X509_free(certificate);
  BIO_free_all(key_text);
  BIO_free_all(certificate_text);
  if (taken) return context;
  SSL_CTX_free(context);
  return nullptr;
}

}  // namespace postern::support
