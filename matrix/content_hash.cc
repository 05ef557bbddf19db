#include "matrix/content_hash.h"

#include <openssl/evp.h>

#include <memory>

#include "matrix/base64.h"
#include "matrix/canonical_json.h"

namespace postern::matrix {
namespace {

struct FreeDigestContext {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
struct FreeDigest {
  void operator()(EVP_MD* digest) const { EVP_MD_free(digest); }
};

}  // namespace

std::string Sha256(std::string_view bytes) {
  // Fetching the algorithm costs more than hashing a kilobyte: each thread keeps its own.
  thread_local const std::unique_ptr<EVP_MD, FreeDigest> digest(EVP_MD_fetch(nullptr, "SHA256", nullptr));
  thread_local const std::unique_ptr<EVP_MD_CTX, FreeDigestContext> context(EVP_MD_CTX_new());
  std::string hash(32, '\0');
  EVP_DigestInit_ex(context.get(), digest.get(), nullptr);
  EVP_DigestUpdate(context.get(), bytes.data(), bytes.size());
  EVP_DigestFinal_ex(context.get(), reinterpret_cast<unsigned char*>(hash.data()), nullptr);
  return hash;
}

std::string ContentHash(const JsonObject& event) {
  return Sha256(CanonicalJsonWithout(event, {"unsigned", "signatures", "hashes"}));
}

bool ContentHashMatches(const JsonObject& event) {
  const Json* hashes = event.Find("hashes");
  const JsonObject* by_algorithm = hashes ? hashes->AsObject() : nullptr;
  const Json* sha256 = by_algorithm ? by_algorithm->Find("sha256") : nullptr;
  const std::string* text = sha256 ? sha256->AsString() : nullptr;
  const auto claimed = text ? DecodeBase64(*text) : std::nullopt;
  return claimed && *claimed == ContentHash(event);
}

}  // namespace postern::matrix
