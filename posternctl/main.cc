// posternctl: what an operator does to a Postern, and a remote homeserver to try it with.
#include <CLI/CLI.hpp>

#include <csignal>
#include <iostream>

#include "posternctl/commands.h"

namespace {

constexpr const char* kFooter = R"(
examples:
  posternctl key generate --output signing.key
  posternctl room create --version 10 --creator @ann:here.example
  posternctl room invite '!room:here.example' @bob:there.example
  posternctl invite reject --server spam.example
  posternctl leave --as @bob:localhost:8448 --key bob.key --to https://here.example '!room:here.example'
  posternctl --json member show '!room:here.example' @bob:there.example
  posternctl explain '$event'
  posternctl check --to https://matrix.here.example:8448 --server-name here.example
  posternctl replay --since 24h --validator 127.0.0.1:7111

exit status:
  0  done
  1  refused: by the room's rules, by the server, or there is no such thing; the answer says why. Of replay: differences
  2  the command line is wrong
  3  no answer: gateway, store, validator or the other server cannot be reached just now)";

void AddGlobalOptions(CLI::App& app, postern::posternctl::GlobalOptions& global) {
  app.add_option("--gateway", global.gateway, "the gateway's admin address, or several with commas")
      ->envname("POSTERN_GATEWAY")
      ->default_str("127.0.0.1:7103");
  app.add_option("--store", global.store, "the store's address, or several with commas")
      ->envname("POSTERN_STORE")
      ->default_str("127.0.0.1:7102");
  app.add_option("--validator", global.validator, "a validator's address, or several with commas")
      ->envname("POSTERN_VALIDATOR")
      ->default_str("127.0.0.1:7101");
  app.add_flag("--json", global.json, "one JSON value on standard output, for scripts");
  app.add_option("--timeout", global.timeout_seconds, "seconds before a call is given up")
      ->check(CLI::Range(1, 3600))
      ->capture_default_str();
  app.add_option("--certificate", global.certificate_file, "PEM certificate for mTLS")->envname("POSTERN_CERTIFICATE");
  app.add_option("--certificate-key", global.key_file, "PEM key of that certificate")
      ->envname("POSTERN_CERTIFICATE_KEY");
  app.add_option("--ca", global.ca_file, "PEM authorities that the services' certificates come from")
      ->envname("POSTERN_CA");
  app.add_option("--token-file", global.token_file, "file with the token that the gateway asks for (admin_token_file)")
      ->envname("POSTERN_TOKEN_FILE");
  app.add_flag("--plaintext", global.plaintext, "no TLS; implied for loopback addresses where no certificate is given");
}

}  // namespace

int main(int argc, char** argv) {
  namespace posternctl = postern::posternctl;
  std::signal(SIGPIPE, SIG_IGN);
  posternctl::CommandLine line;
  line.global.gateway = "127.0.0.1:7103";
  line.global.store = "127.0.0.1:7102";
  line.global.validator = "127.0.0.1:7101";

  CLI::App app(
      "Speaks to a Postern: to its gateway to change rooms, to its store to look at them, to a validator to judge.",
      "posternctl");
  app.set_version_flag("--version", "posternctl " POSTERN_VERSION);
  app.footer(kFooter);
  app.require_subcommand(1);
  app.fallthrough();  // global options may stand after the command too
  AddGlobalOptions(app, line.global);
  posternctl::AddKeyCommands(app, line);
  posternctl::AddRoomCommands(app, line);
  posternctl::AddMemberCommands(app, line);
  posternctl::AddReceivedInviteCommands(app, line);
  posternctl::AddEventCommands(app, line);
  posternctl::AddOutboxCommands(app, line);
  posternctl::AddExplainCommand(app, line);
  posternctl::AddReplayCommand(app, line);
  posternctl::AddLeaveCommand(app, line);
  posternctl::AddCheckCommand(app, line);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& outcome) {
    return app.exit(outcome) == 0 ? posternctl::kExitOk : posternctl::kExitUsage;
  }
  return line.chosen();
}
