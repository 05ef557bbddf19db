#include "http/tls_certificates.h"

#include <fmt/format.h>
#include <openssl/ssl.h>

#include <utility>

#include "matrix/refusal.h"
#include "telemetry/log.h"

namespace postern::http {
namespace {

namespace ssl = boost::asio::ssl;
using ErrorCode = boost::system::error_code;

absl::Status Broken(const std::string& file, const std::string& why) {
  return matrix::Refuse(matrix::Reason::kInvalidArgument, fmt::format("{}: {}", file, why));
}

absl::StatusOr<std::shared_ptr<ssl::context>> ReadPair(const std::string& certificate_file,
                                                       const std::string& key_file) {
  auto context = std::make_shared<ssl::context>(ssl::context::tls_server);
  ErrorCode failed;
  SSL_CTX_set_min_proto_version(context->native_handle(), TLS1_2_VERSION);
  SSL_CTX_set_options(context->native_handle(), SSL_OP_NO_RENEGOTIATION);
  // Without one OpenSSL asks the terminal for the password of an encrypted key.
  context->set_password_callback([](std::size_t, ssl::context::password_purpose) { return std::string(); }, failed);
  if (context->use_certificate_chain_file(certificate_file, failed); failed)
    return Broken(certificate_file, failed.message());
  if (context->use_private_key_file(key_file, ssl::context::pem, failed); failed)
    return Broken(key_file, failed.message());
  if (SSL_CTX_check_private_key(context->native_handle()) != 1) {
    return Broken(key_file, "is not the key of the certificate in " + certificate_file);
  }
  return context;
}

}  // namespace

TlsCertificates::TlsCertificates(std::string certificate_file, std::string key_file)
    : certificate_file_(std::move(certificate_file)), key_file_(std::move(key_file)) {}

absl::StatusOr<std::unique_ptr<TlsCertificates>> TlsCertificates::Load(std::string certificate_file,
                                                                       std::string key_file) {
  std::unique_ptr<TlsCertificates> certificates(new TlsCertificates(std::move(certificate_file), std::move(key_file)));
  if (auto status = certificates->Reload(); !status.ok()) return status;
  return certificates;
}

std::shared_ptr<ssl::context> TlsCertificates::current() const {
  const std::lock_guard lock(mutex_);
  return current_;
}

absl::Status TlsCertificates::Reload() {
  const Stamps stamps = StampsNow();  // before reading: what changes meanwhile is seen next time
  auto pair = ReadPair(certificate_file_, key_file_);
  const std::lock_guard lock(mutex_);
  last_read_ = stamps;
  if (!pair.ok()) return pair.status();
  current_ = *std::move(pair);
  return absl::OkStatus();
}

void TlsCertificates::ReloadIfChanged() {
  {
    const std::lock_guard lock(mutex_);
    if (StampsNow() == last_read_) return;
  }
  if (const absl::Status status = Reload(); status.ok()) {
    telemetry::Log(telemetry::Level::kInfo, "certificate reloaded", {{"file", certificate_file_}});
  } else {
    telemetry::Log(telemetry::Level::kError, "certificate not reloaded, the old one stays",
                   {{"detail", matrix::DetailOf(status)}});
  }
}

}  // namespace postern::http
