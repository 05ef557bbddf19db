// What `posternctl leave` was told on its command line.
#pragma once

#include <string>

#include "posternctl/peer/remote_server.h"

namespace postern::posternctl {

inline constexpr int kHttpOk = 200;

struct LeaveOptions {
  peer::LeaveIntent intent;
  std::string key_file;
  /// Without a slash at the end.
  std::string url;
  /// "v1", "v2" or "auto".
  std::string api = "auto";
  std::string origin;
  std::string destination;
  std::string template_file;
  std::string template_only;
  std::string ca_file;
  /// "-" for standard input; empty for a single leave.
  std::string batch_file;
  int concurrency = 16;
  /// Leaves begun a second at most; 0: as many as can be.
  int per_second = 0;
  /// The first leaves of the batch, which are played before the others and count for nothing.
  int warm_up = 0;
  /// Waits for a word before the others are played, and says in the end what they took.
  bool measure = false;
  /// With that: the lines of those others are printed once all have ended.
  bool lines_at_end = false;
  bool insecure = false;
  bool no_key_server = false;
  bool tamper_signature = false;
};

}  // namespace postern::posternctl
