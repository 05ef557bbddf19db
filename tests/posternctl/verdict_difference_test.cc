// What replay calls a difference: each thing that a caller acts on, and no text for people.
#include "posternctl/verdict_difference.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "matrix/refusal.h"

namespace postern::posternctl {
namespace {

using matrix::v1::Verdict;
using testing::ElementsAre;
using testing::IsEmpty;

Verdict Accepted() {
  Verdict verdict;
  verdict.set_outcome(matrix::v1::OUTCOME_ACCEPTED);
  verdict.set_event_id("$e");
  verdict.set_judged_sha256("hash");
  for (unsigned number = 1; number <= 6; ++number) {
    auto& step = *verdict.add_steps();
    step.set_step(number);
    step.set_outcome(matrix::v1::STEP_OUTCOME_OK);
    if (number >= 4) step.set_rule("auth rule 4.5.1");
    step.set_text("in words");
    step.add_looked_at("$a");
    step.add_looked_at("$b");
  }
  verdict.add_keys_used()->set_key_id("ed25519:k");
  verdict.add_read_set()->set_type("m.room.create");
  verdict.add_current_state_change()->set_event_id("$e");
  verdict.set_commutes(true);
  return verdict;
}

struct Change {
  const char* name;
  std::function<void(Verdict&)> apply;
  std::vector<std::string> differs;
};

void PrintTo(const Change& change, std::ostream* out) { *out << change.name; }

class Differences : public testing::TestWithParam<Change> {};

TEST_P(Differences, AreFound) {
  Verdict now = Accepted();
  GetParam().apply(now);
  std::vector<std::string> names;
  for (const Difference& difference : DifferencesBetween(Accepted(), now)) names.push_back(difference.what);
  EXPECT_EQ(names, GetParam().differs);
}

INSTANTIATE_TEST_SUITE_P(
    Of, Differences,
    testing::Values(
        Change{"Nothing", [](Verdict&) {}, {}},
        Change{"Texts",
               [](Verdict& v) {
                 v.set_detail("other words");
                 v.mutable_steps(4)->set_text("other words");
               },
               {}},
        Change{"TimesAndWhatTheStoreKept",
               [](Verdict& v) {
                 v.set_judged_copy("bytes");
                 v.mutable_inputs()->set_state_group_now(3);
               },
               {}},
        Change{"OrderOfWhatWasLookedAt",
               [](Verdict& v) { v.mutable_steps(3)->mutable_looked_at()->SwapElements(0, 1); },
               {}},
        Change{"Outcome", [](Verdict& v) { v.set_outcome(matrix::v1::OUTCOME_SOFT_FAILED); }, {"outcome"}},
        Change{"Reason", [](Verdict& v) { v.set_reason(matrix::v1::REASON_NOT_AUTHORISED); }, {"reason"}},
        Change{"Id", [](Verdict& v) { v.set_event_id("$other"); }, {"event id"}},
        Change{"Bytes", [](Verdict& v) { v.set_judged_sha256("other"); }, {"SHA-256 of the copy judged"}},
        Change{"Step",
               [](Verdict& v) { v.mutable_steps(4)->set_outcome(matrix::v1::STEP_OUTCOME_FAILED); },
               {"step 5 (state before)"}},
        Change{"Rule", [](Verdict& v) { v.mutable_steps(5)->set_rule("auth rule 5"); }, {"step 6 (current state)"}},
        Change{"LookedAt",
               [](Verdict& v) { v.mutable_steps(3)->add_looked_at("$c"); },
               {"step 4 (auth events) looked at"}},
        Change{"SeventhStep", [](Verdict& v) { v.add_steps()->set_step(7); }, {"step 7 (policy server)"}},
        Change{"Keys", [](Verdict& v) { v.clear_keys_used(); }, {"keys used"}},
        Change{"AfterIt",
               [](Verdict& v) { v.add_state_after_change()->set_event_id("$e"); },
               {"change of the state after it"}},
        Change{"Now", [](Verdict& v) { v.clear_current_state_change(); }, {"change of the current state"}},
        Change{"ReadSet", [](Verdict& v) { v.clear_read_set(); }, {"state relied on"}},
        Change{"Commutes", [](Verdict& v) { v.set_commutes(false); }, {"commutes"}}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(DifferencesOfMinted, AreInTheAnswerOfTheRulesAlone) {
  validator::v1::AuthorizeResponse now;
  now.set_allowed(true);
  now.set_rule("auth rule 4.5.1");
  EXPECT_THAT(DifferencesBetween(Accepted(), now), IsEmpty());
  now.set_rule("auth rule 9");
  EXPECT_THAT(DifferencesBetween(Accepted(), now), ElementsAre(Difference{"rule", "auth rule 4.5.1", "auth rule 9"}));
  now.set_allowed(false);
  EXPECT_THAT(DifferencesBetween(Accepted(), now),
              ElementsAre(Difference{"allowed", "yes", "no"}, Difference{"rule", "auth rule 4.5.1", "auth rule 9"}));
}

TEST(DifferencesOfNoVerdict, SayWhy) {
  const auto found = NoVerdict(Accepted(), matrix::Refuse(matrix::Reason::kStateUnresolved, "forks"));
  EXPECT_THAT(found, ElementsAre(Difference{"verdict", "accepted", "none: state_unresolved (forks)"}));
}

}  // namespace
}  // namespace postern::posternctl
