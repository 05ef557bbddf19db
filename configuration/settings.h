// One YAML file a service; every key overridable by a POSTERN_… environment variable and, above that, by a flag.
//
// A service declares its keys once; file, environment, flags and --help follow from that. Keys are dotted in YAML's
// nesting: `rc_federation.window_size` is `rc_federation: {window_size: …}`, POSTERN_RC_FEDERATION_WINDOW_SIZE and
// --rc-federation-window-size. Unknown and duplicate keys are errors with their line, wrong types too.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace postern::configuration {

/// How reading the settings ended.
enum class Start {
  kRun,
  kExitOk,     // --help, --version or --check-config has been answered
  kExitError,  // the error has been printed: exit status 2
};

class Settings {
 public:
  /// `program` and `purpose` are for --help.
  Settings(std::string program, std::string purpose);
  ~Settings();

  /// Declares a key with its default in `target`. Durations read "500ms", "2s", "5m"; sizes are plain integers, in
  /// bytes if the key ends in _bytes. A bool is a flag that may stand alone.
  void Text(std::string_view key, std::string* target, std::string_view meaning);
  void Integer(std::string_view key, std::int64_t* target, std::int64_t least, std::int64_t most,
               std::string_view meaning);
  void Flag(std::string_view key, bool* target, std::string_view meaning);
  void Time(std::string_view key, absl::Duration* target, absl::Duration least, absl::Duration most,
            std::string_view meaning);
  void List(std::string_view key, std::vector<std::string>* target, std::string_view meaning);
  /// A map from names that the operator chooses to integers, 0 or more, by field: `origins: {big.example:
  /// {reject_limit: 9}}`. Only in the file.
  void Table(std::string_view key, std::vector<std::string> fields,
             std::map<std::string, std::map<std::string, std::int64_t>>* target, std::string_view meaning);
  /// Checked once all is read; an error is printed and ends in exit status 2. A message that begins with a key and a
  /// colon is printed with the place where that key was set.
  void Check(std::function<absl::Status()> check);
  /// The same for what only reading the files shows that the settings name: keys, certificates. Checked by
  /// --check-config alone, and not with --without-files: a service that starts reads them itself. OK is no mistake.
  void CheckFiles(std::function<std::vector<absl::Status>()> check);

  /// Reads --config FILE or POSTERN_CONFIG (optional), environment, flags. Call once. Prints to standard output for
  /// --help, to standard error for mistakes: the key, where it was set (file and line, variable, or flag), what was
  /// expected.
  Start Read(int argc, const char* const* argv);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace postern::configuration
