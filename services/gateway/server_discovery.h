// Where a server name is served ("Resolving server names", server-server API).
#pragma once

#include <string>

#include "matrix/server_name.h"

namespace postern::gateway {

/// Where to connect, and what to call the server there.
struct ServerLocation {
  std::string url;   // "https://example.org:8448", no slash at the end
  std::string host;  // the Host header
};

/// Step 1 (IP literals), 2 (explicit port) and 6 (the name itself at 8448). The certificate must be for the host of the
/// URL.
ServerLocation Locate(const matrix::ServerName& server);

}  // namespace postern::gateway
