#include "tests/gateway/remote_server.h"

#include <cstdlib>
#include <iostream>
#include <utility>

#include "matrix/base64.h"
#include "matrix/canonical_json.h"
#include "matrix/x_matrix.h"

namespace postern::gateway {

matrix::Json ParseOrDie(std::string_view text) {
  auto json = matrix::ParseJson(text);
  if (!json.ok()) {
    std::cerr << "not JSON: " << text << '\n';
    std::abort();
  }
  return std::move(*json);
}

matrix::JsonObject ObjectOrDie(std::string_view text) { return *ParseOrDie(text).AsObject(); }

matrix::SigningKey KeyOf(char letter, std::string_view key_id) {
  return std::move(*matrix::SigningKey::FromSeed(key_id, std::string(matrix::kSeedBytes, letter)));
}

RemoteServer::RemoteServer(std::string_view name, char seed, std::string_view key_id)
    : name_(name), key_(KeyOf(seed, key_id)) {}

matrix::ServerKeys RemoteServer::Keys(absl::Time valid_until) const {
  return {name_, valid_until, {{key_.key_id(), key_.public_key(), std::nullopt}}};
}

matrix::JsonObject RemoteServer::KeyDocument(absl::Time valid_until) const {
  matrix::JsonObject key, keys, document;
  key.Set("key", matrix::EncodeBase64(key_.public_key()));
  keys.Set(key_.key_id(), std::move(key));
  document.Set("server_name", name_);
  document.Set("valid_until_ts", absl::ToUnixMillis(valid_until));
  document.Set("verify_keys", std::move(keys));
  document.Set("old_verify_keys", matrix::JsonObject());
  matrix::SignJson(document, name_, key_);
  return document;
}

http::Request RemoteServer::Request(std::string_view method, std::string_view target, const matrix::Json* content,
                                    std::string_view destination) const {
  http::Request request;
  request.method = method;
  request.target = target;
  request.remote_address = "192.0.2.7";
  if (content != nullptr) {
    request.body = matrix::CanonicalJson(*content);
    request.has_body = true;
  }
  AddHeader(request, key_, content, destination);
  return request;
}

void RemoteServer::AddHeader(http::Request& request, const matrix::SigningKey& key, const matrix::Json* content,
                             std::string_view destination) const {
  const matrix::SignedRequest to_sign{
      .method = request.method, .uri = request.target, .origin = name_, .destination = destination, .content = content};
  request.headers.emplace_back("Authorization", matrix::FormatXMatrix({.origin = name_,
                                                                       .destination = std::string(destination),
                                                                       .key = key.key_id(),
                                                                       .sig = matrix::SignRequest(to_sign, key)}));
}

matrix::JsonObject RemoteServer::Complete(matrix::JsonObject event, const matrix::RoomRules& rules) const {
  matrix::HashAndSignEvent(event, name_, key_, rules);
  return event;
}

}  // namespace postern::gateway
