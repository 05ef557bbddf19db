// Invites to people known by an address of another network: who vouched for them (auth rules, "third_party_invite").
#pragma once

#include "matrix/json.h"

namespace postern::matrix {

/// Whether a signature in `signed_part` is by a public key of the m.room.third_party_invite event with this content
/// (`public_key`, `public_keys[].public_key`; base64 in either alphabet). A stranger chooses how many of each there
/// are: after 1,024 verifications the answer is no.
bool HasThirdPartySignature(const JsonObject& signed_part, const JsonObject& invite_content);

}  // namespace postern::matrix
