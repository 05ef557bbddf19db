// Operations on requests: X-Matrix.
#include "matrix/base64.h"
#include "matrix/x_matrix.h"
#include "tests/vectors/answers.h"

namespace postern::vectors {
namespace {

std::optional<matrix::SignedRequest> RequestOf(const Input& input) {
  const std::string* method = input.String("method");
  const std::string* uri = input.String("uri");
  const std::string* origin = input.String("origin");
  const std::string* destination = input.String("destination");
  if (!method || !uri || !origin || !destination) return std::nullopt;
  return matrix::SignedRequest{*method, *uri, *origin, *destination, input.Any("content")};
}

}  // namespace

Output AnswerXMatrixParse(const Input& input) {
  const std::string* header = input.String("header");
  if (!header) return std::nullopt;
  matrix::JsonObject output;
  const auto parsed = matrix::ParseXMatrix(*header);
  if (!parsed.ok()) {
    output.Set("error", true);
    return output;
  }
  output.Set("origin", parsed->origin);
  const std::optional<std::string>& destination = parsed->destination;
  output.Set("destination", destination ? matrix::Json(*destination) : matrix::Json());
  output.Set("key", parsed->key);
  output.Set("sig", parsed->sig);
  return output;
}

Output AnswerXMatrixSign(const Input& input) {
  const auto request = RequestOf(input);
  const std::string* key_id = input.String("key_id");
  const auto seed = input.Bytes("seed");
  if (!request || !key_id || !seed) return std::nullopt;
  const auto key = matrix::SigningKey::FromTestVectorSeed(*key_id, *seed);
  if (!key.ok()) return std::nullopt;
  matrix::JsonObject output;
  output.Set("sig", matrix::SignRequest(*request, *key));
  return output;
}

Output AnswerXMatrixVerify(const Input& input) {
  const auto request = RequestOf(input);
  const std::string* sig = input.String("sig");
  const std::string* public_key = input.String("public_key");
  if (!request || !sig || !public_key || !input.String("key_id")) return std::nullopt;
  const auto key = matrix::DecodeBase64(*public_key);
  matrix::JsonObject output;
  output.Set("ok", key && matrix::VerifyRequest(*request, *sig, *key));
  return output;
}

}  // namespace postern::vectors
