// Writes the seeds of validate_fuzzer: write_validate_seeds DIRECTORY. They are in the tree; run it again when the
// contract has new parts.
#include <fstream>
#include <iostream>
#include <string>

#include "tests/support/judging_request.h"

namespace {

using namespace postern;
using support::Object;
using support::RoomBuilder;
using support::TestRoom;

constexpr char kAnn[] = "@ann:b.example";

void Write(const std::string& directory, const std::string& name, const validator::v1::ValidateRequest& request) {
  std::ofstream(directory + "/" + name, std::ios::binary) << request.SerializeAsString();
}

void WriteLeaves(const std::string& directory, const std::string& version) {
  for (const char* membership : {"invite", "join", "ban"}) {
    const TestRoom room = RoomBuilder(version).Member(kAnn, membership).Build();
    Write(directory, "leave_after_" + std::string(membership) + "_v" + version,
          support::ValidateRequestFor(room, room.Leave(kAnn)));
  }
}

void WriteOthers(const std::string& directory, const std::string& version) {
  const TestRoom room =
      RoomBuilder(version).JoinRule("public").Member(kAnn, "join").State("m.room.policy", "", "{}").Build();
  const auto request = [&](const support::Draft& draft) { return support::ValidateRequestFor(room, room.Mint(draft)); };
  Write(directory, "kick_v" + version, support::ValidateRequestFor(room, room.Member(kAnn, "leave", room.creator())));
  Write(directory, "join_v" + version, support::ValidateRequestFor(room, room.Member("@bob:c.example", "join")));
  Write(directory, "levels_v" + version,
        request({.type = "m.room.power_levels",
                 .state_key = "",
                 .sender = room.creator(),
                 .content = Object(R"({"ban":60,"users":{"@ann:b.example":50}})")}));
  auto fork = support::ValidateRequestFor(room, room.Leave(kAnn));
  fork.mutable_context()->set_extends_all_extremities(false);
  fork.mutable_context()->set_states_diverge(true);
  Write(directory, "fork_v" + version, fork);
  fork.mutable_context()->set_state_before_unresolved(true);
  Write(directory, "unresolved_v" + version, fork);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: write_validate_seeds DIRECTORY\n";
    return 2;
  }
  for (const char* version : {"1", "3", "6", "10", "12"}) WriteLeaves(argv[1], version);
  for (const char* version : {"2", "8", "12"}) WriteOthers(argv[1], version);
  return 0;
}
