#include "tests/posternctl/explain_rig.h"

#include <gtest/gtest.h>

#include "absl/time/clock.h"
#include "matrix/canonical_json.h"
#include "matrix/content_hash.h"
#include "services/validator/judgement.h"
#include "tests/support/judging_request.h"
#include "tests/support/store_requests.h"

namespace postern::posternctl {
namespace {

rpc::CallContext Call() { return {absl::Now() + absl::Minutes(1), telemetry::NewTrace()}; }

}  // namespace

grpc::Status KeyTellingAdmin::FindServerKeys(grpc::ServerContext*, const gateway::v1::FindServerKeysRequest* request,
                                             gateway::v1::FindServerKeysResponse* response) {
  const std::lock_guard lock(mutex_);
  const auto known = known_.find(request->server_name());
  if (known == known_.end()) return {grpc::StatusCode::UNAUTHENTICATED, "nobody answers there"};
  const matrix::SigningKey key = support::KeyOf(request->server_name());
  response->set_valid_until_ms(absl::ToUnixMillis(known->second));
  response->add_keys()->set_key_id(key.key_id());
  response->mutable_keys(0)->set_public_key(key.public_key());
  return grpc::Status::OK;
}

void KeyTellingAdmin::Know(const std::string& server, absl::Time valid_until) {
  const std::lock_guard lock(mutex_);
  known_[server] = valid_until;
}

void ExplainRig::Create(const support::TestRoom& room) {
  ASSERT_TRUE(store_.CreateRoom(Call(), support::CreateRoomRequestFor(room)).ok());
  rooms_.push_back(room.room_id());
}

matrix::v1::Verdict ExplainRig::Decide(const support::TestRoom& room, const matrix::Event& event,
                                       const std::string& pdu) {
  const auto context = store_.GetEventContext(Call(), support::ContextRequestFor(event));
  EXPECT_TRUE(context.ok());
  validator::v1::ValidateRequest request = support::ValidateRequestFor(room, event);
  *request.mutable_context() = context->judging();
  if (!pdu.empty()) request.set_pdu(pdu);
  validator::v1::ValidateResponse judged;
  EXPECT_TRUE(validator::Validate(request, judged).ok());
  const matrix::v1::Verdict& verdict = judged.verdict();

  store::v1::PersistEventRequest write = support::PersistRequestFor(event, *context, verdict.outcome());
  *write.mutable_verdict() = verdict;
  auto copy = matrix::ParseJson(verdict.judged_copy());
  if (verdict.outcome() != matrix::v1::OUTCOME_REJECTED) {
    matrix::SignEvent(*copy->AsObject(), "a.example", support::KeyOf("a.example"), room.rules());
  }
  write.set_pdu(matrix::CanonicalJson(*copy));
  if (verdict.steps(1).outcome() == matrix::v1::STEP_OUTCOME_REDACTED) write.set_received_pdu(request.pdu());
  const auto stored = store_.PersistEvent(Call(), write);
  EXPECT_TRUE(stored.ok() && stored->has_stored());
  return verdict;
}

void ExplainRig::Mint(const matrix::Event& event) {
  const auto context = store_.GetEventContext(Call(), support::ContextRequestFor(event));
  ASSERT_TRUE(context.ok());
  validator::v1::AuthorizeRequest question;
  question.set_pdu(support::TestRoom::Text(event));
  *question.mutable_context() = context->judging();
  validator::v1::AuthorizeResponse allowed;
  ASSERT_TRUE(validator::Authorize(question, allowed).ok());
  store::v1::PersistEventRequest write = support::PersistRequestFor(event, *context);
  write.set_origin("a.example");
  write.mutable_verdict()->set_judged_sha256(matrix::Sha256(write.pdu()));
  for (std::uint32_t number = 1; number <= 6; ++number) {
    auto* step = write.mutable_verdict()->add_steps();
    step->set_step(number);
    step->set_outcome(matrix::v1::STEP_OUTCOME_OK);
    if (number >= 4) step->set_rule(allowed.rule());
  }
  const auto stored = store_.PersistEvent(Call(), write);
  EXPECT_TRUE(stored.ok() && stored->has_stored());
}

void ExplainRig::StoreKeys(const support::TestRoom& room) {
  store::v1::PutServerKeysRequest put;
  for (const auto& [name, keys] : room.keys()) {
    auto& server = *put.add_servers();
    server.set_server_name(name);
    server.set_valid_until_ms(absl::ToUnixMillis(keys.valid_until));
    for (const matrix::VerifyKey& key : keys.keys) {
      auto& added = *server.add_keys();
      added.set_key_id(key.key_id);
      added.set_public_key(key.public_key);
    }
  }
  ASSERT_TRUE(store_.PutServerKeys(Call(), put).ok());
}

std::string ExplainRig::Written() {
  std::string all;
  store::v1::GetServerKeysRequest keys;
  for (const std::string& room_id : rooms_) {
    store::v1::GetRoomRequest room;
    room.set_room_id(room_id);
    const auto description = store_.GetRoom(Call(), room);
    EXPECT_TRUE(description.ok());
    for (const auto& server : description->servers()) keys.add_server_names(server.server_name());
    all += description->DebugString();
  }
  all += store_.ListDecisions(Call(), {})->DebugString();
  all += store_.ListOutbox(Call(), {})->DebugString();
  all += store_.GetServerKeys(Call(), keys)->DebugString();
  return all;
}

Ended ExplainRig::Ctl(const std::vector<std::string>& arguments) {
  const std::string address = served_.address();
  return RunPosternctl(arguments, {"POSTERN_GATEWAY=" + address, "POSTERN_STORE=" + address,
                                   "POSTERN_VALIDATOR=" + validator_.address()});
}

matrix::Json ExplainRig::Json(std::vector<std::string> arguments, int status) {
  arguments.insert(arguments.begin(), "--json");
  const Ended ended = Ctl(arguments);
  EXPECT_EQ(ended.status, status) << ended.errors;
  EXPECT_NE(ended.json(), matrix::Json()) << ended.output;
  return ended.json();
}

}  // namespace postern::posternctl
