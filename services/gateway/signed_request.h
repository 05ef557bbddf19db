// A request of this server to another one, signed over the very bytes that are sent.
#pragma once

#include <string>
#include <string_view>

#include "matrix/json.h"
#include "matrix/server_name.h"
#include "services/gateway/event_signer.h"
#include "services/gateway/federation_client.h"

namespace postern::gateway {

/// `target` as it is sent, percent-encoded.
FederationRequest SignedRequestTo(const matrix::ServerName& destination, std::string_view method, std::string target,
                                  const matrix::Json& content, const EventSigner& signer);
/// A GET, without content.
FederationRequest SignedGetTo(const matrix::ServerName& destination, std::string target, const EventSigner& signer);

}  // namespace postern::gateway
