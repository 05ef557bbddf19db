// Pictures as files: DOT as it is, SVG by Graphviz's `dot`.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace postern::posternctl {

/// Whether the name's ending is one that WriteGraph knows: .dot, .gv or .svg. Refuses: kInvalidArgument.
absl::Status CheckGraphFile(const std::string& path);

/// Writes `dot` (Graphviz's language) to `path`, over what is there; for .svg the program `dot` draws it. Refuses:
/// kInvalidArgument where the file cannot be written, where there is no such program, or where that fails.
absl::Status WriteGraph(const std::string& path, const std::string& dot);

}  // namespace postern::posternctl
