#include "services/gateway/signed_request.h"

#include <utility>

#include "matrix/canonical_json.h"

namespace postern::gateway {

FederationRequest SignedRequestTo(const matrix::ServerName& destination, std::string_view method, std::string target,
                                  const matrix::Json& content, const EventSigner& signer) {
  FederationRequest request;
  request.method = method;
  request.target = std::move(target);
  request.headers = {{"Authorization", signer.SignRequestTo(destination, request.method, request.target, &content)},
                     {"Content-Type", "application/json"}};
  request.body = matrix::CanonicalJson(content);
  return request;
}

FederationRequest SignedGetTo(const matrix::ServerName& destination, std::string target, const EventSigner& signer) {
  FederationRequest request;
  request.target = std::move(target);
  request.headers = {{"Authorization", signer.SignRequestTo(destination, request.method, request.target, nullptr)}};
  return request;
}

}  // namespace postern::gateway
