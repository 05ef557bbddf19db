// Any Authorization header: refused, or fields that are written and read again as the same.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "matrix/refusal.h"
#include "matrix/server_name.h"
#include "matrix/x_matrix.h"
#include "tests/fuzz/require.h"

namespace {

void CheckServerName(std::string_view text) {
  using postern::fuzz::Require;
  const auto name = postern::matrix::ServerName::Parse(text);
  if (!name.ok()) return;
  Require(name->text() == text, "a server name is kept as written");
  Require(!name->host().empty() && name->host().find_first_of("[]") == std::string_view::npos,
          "a host has no brackets");
  Require(name->port().has_value() == (name->host_as_written().size() < text.size()),
          "what follows the host is the port");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace postern::matrix;
  using postern::fuzz::Require;
  const std::string_view header(reinterpret_cast<const char*>(data), size);
  CheckServerName(header);
  const auto parsed = ParseXMatrix(header);
  if (!parsed.ok()) {
    Require(ReasonOf(parsed.status()) == Reason::kUnauthenticated, "refused as unauthenticated");
    return 0;
  }
  Require(IsXMatrix(header), "what parses is of the scheme");
  CheckServerName(parsed->origin);
  const auto again = ParseXMatrix(FormatXMatrix(*parsed));
  Require(again.ok(), "what we write can be read");
  Require(again->origin == parsed->origin && again->destination == parsed->destination && again->key == parsed->key &&
              again->sig == parsed->sig,
          "what we write says the same");
  return 0;
}
