// Unpadded base64 (appendices, "Unpadded Base64") in both alphabets.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace postern::matrix {

std::string EncodeBase64(std::string_view bytes);
std::string EncodeUrlSafeBase64(std::string_view bytes);

/// Standard alphabet, padded or not, stray tail bits ignored. nullopt: a character outside the alphabet, or an
/// impossible length.
std::optional<std::string> DecodeBase64(std::string_view text);
std::optional<std::string> DecodeUrlSafeBase64(std::string_view text);

}  // namespace postern::matrix
