// posternctl as a whole: what all commands share, and the list of them. Each group of commands is a file of its own.
#pragma once

#include <functional>
#include <string>

namespace CLI {
class App;
}  // namespace CLI

namespace postern::posternctl {

/// What the process ends with; --help documents them.
inline constexpr int kExitOk = 0;
inline constexpr int kExitRefused = 1;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitUnreachable = 3;

/// Options before the command, from flags or environment.
struct GlobalOptions {
  std::string gateway;    // POSTERN_GATEWAY
  std::string store;      // POSTERN_STORE
  std::string validator;  // POSTERN_VALIDATOR
  std::string certificate_file;
  std::string key_file;
  std::string ca_file;
  std::string token_file;  // POSTERN_TOKEN_FILE: the gateway's admin_token_file
  bool plaintext = false;
  bool json = false;
  int timeout_seconds = 30;
};

/// A command is what its parsed options ask for: it prints its result to standard output, its trouble to standard
/// error, and returns the exit status. It runs once parsing is over.
struct CommandLine {
  GlobalOptions global;
  std::function<int()> chosen;
};

void AddKeyCommands(CLI::App& app, CommandLine& line);
void AddRoomCommands(CLI::App& app, CommandLine& line);
/// Within `posternctl room`.
void AddAliasCommands(CLI::App& room, CommandLine& line);
void AddInviteCommands(CLI::App& room, CommandLine& line);
void AddMembershipCommands(CLI::App& room, CommandLine& line);
void AddReceivedInviteCommands(CLI::App& app, CommandLine& line);
void AddMemberCommands(CLI::App& app, CommandLine& line);
void AddEventCommands(CLI::App& app, CommandLine& line);
void AddOutboxCommands(CLI::App& app, CommandLine& line);
void AddExplainCommand(CLI::App& app, CommandLine& line);
void AddReplayCommand(CLI::App& app, CommandLine& line);
void AddLeaveCommand(CLI::App& app, CommandLine& line);
void AddCheckCommand(CLI::App& app, CommandLine& line);

}  // namespace postern::posternctl
