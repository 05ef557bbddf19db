// A room in an honest fake store, a validator that judges with the real rules, and a gateway that answers for keys:
// what `posternctl explain` and `posternctl replay` are run against.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "postern/gateway/v1/admin.grpc.pb.h"
#include "tests/posternctl/program.h"
#include "tests/support/fake_validator.h"
#include "tests/support/room_builder.h"
#include "tests/support/served_fake_store.h"

namespace postern::posternctl {

/// Answers for the keys of the servers that it was told of.
class KeyTellingAdmin : public gateway::v1::Admin::Service {
 public:
  grpc::Status FindServerKeys(grpc::ServerContext*, const gateway::v1::FindServerKeysRequest* request,
                              gateway::v1::FindServerKeysResponse* response) override;
  void Know(const std::string& server, absl::Time valid_until);

 private:
  std::mutex mutex_;
  std::map<std::string, absl::Time> known_;
};

class ExplainRig {
 public:
  void Create(const support::TestRoom& room);
  /// Judges the event with the real rules and stores what they say, as the gateway of a.example would. `pdu`: what is
  /// received, if it is not the event's own text.
  matrix::v1::Verdict Decide(const support::TestRoom& room, const matrix::Event& event, const std::string& pdu = "");
  /// Minted by this server: authorised only.
  void Mint(const matrix::Event& event);

  /// The keys of the room's servers go to the store.
  void StoreKeys(const support::TestRoom& room);
  /// Everything that the store holds, as text: equal if nothing was written.
  std::string Written();

  Ended Ctl(const std::vector<std::string>& arguments);
  matrix::Json Json(std::vector<std::string> arguments, int status = 0);

  support::FakeStore& store() { return store_; }
  support::FakeValidator& validator() { return validator_; }
  KeyTellingAdmin& admin() { return admin_; }

 private:
  support::FakeValidator validator_;
  KeyTellingAdmin admin_;
  support::ServedFakeStore served_{"a.example", {&admin_}};
  support::FakeStore& store_ = served_.store();
  std::vector<std::string> rooms_;
};

}  // namespace postern::posternctl
