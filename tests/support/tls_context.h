// What a played TLS server is known by.
#pragma once

#include "http/self_signed_certificate.h"

struct ssl_ctx_st;

namespace postern::support {

/// For a server with this certificate; the caller frees it. nullptr if OpenSSL does not take the certificate.
ssl_ctx_st* ServerContextFor(const http::CertificatePem& pem);

}  // namespace postern::support
