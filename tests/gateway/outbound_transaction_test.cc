// What an answer to a transaction means, and when its destination is tried again (pitfalls O03, O05, O09).
#include "services/gateway/outbound_transaction.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "matrix/x_matrix.h"
#include "tests/gateway/test_signer.h"

namespace postern::gateway {
namespace {

using store::v1::DeliveryReport;

const absl::Time kNow = absl::FromUnixSeconds(1700000000);

store::v1::OutboundTransaction Transaction(std::uint32_t failures = 0) {
  store::v1::OutboundTransaction transaction;
  transaction.set_destination(std::string(kRemoteName));
  transaction.set_transaction_id("a/b");
  transaction.set_failures(failures);
  transaction.set_oldest_ms(1700000000000);
  auto& pdu = *transaction.add_pdus();
  pdu.set_event_id("$one");
  pdu.set_pdu(R"({"type":"m.room.member"})");
  return transaction;
}

TEST(OutboundTransaction, IsARequestThatTheDestinationCanCheck) {
  const EventSigner signer = TestSigner();
  const auto request = RequestOf(Transaction(), signer);
  ASSERT_TRUE(request.ok()) << request.status();
  EXPECT_EQ(request->method, "PUT");
  EXPECT_EQ(request->target, "/_matrix/federation/v1/send/a%2Fb");
  EXPECT_EQ(request->body,
            R"({"origin":"here.example","origin_server_ts":1700000000000,"pdus":[{"type":"m.room.member"}]})");
  const auto header = matrix::ParseXMatrix(*http::FindHeader(request->headers, "Authorization"));
  ASSERT_TRUE(header.ok());
  const matrix::Json content = ParseOrDie(request->body);
  const matrix::SignedRequest signed_request{
      .method = "PUT", .uri = request->target, .origin = kOurName, .destination = kRemoteName, .content = &content};
  EXPECT_TRUE(matrix::VerifyRequest(signed_request, header->sig, KeyOf('h', "ed25519:h1").public_key()));
}

struct AnswerCase {
  const char* name;
  int status;
  DeliveryReport::Outcome outcome;
  absl::Duration next_try = absl::ZeroDuration();
  const char* body = "{}";
  const char* retry_after = nullptr;
};

class Answer : public testing::TestWithParam<AnswerCase> {};

TEST_P(Answer, MeansOneThing) {
  const AnswerCase& c = GetParam();
  http::Response response{.status = c.status, .headers = {}, .body = c.body};
  if (c.retry_after != nullptr) response.headers.emplace_back("Retry-After", c.retry_after);
  // The second failure, neither early nor late: 30 s.
  const auto outcome = OutcomeOf(Transaction(1), response, BackOff(), kNow, 1.0 / 3);
  EXPECT_EQ(outcome.report.outcome(), c.outcome);
  EXPECT_EQ(outcome.report.transaction_id(), "a/b");
  if (c.next_try > absl::ZeroDuration()) {
    EXPECT_EQ(absl::FromUnixMillis(outcome.report.next_try_ms()) - kNow, c.next_try);
  }
  EXPECT_EQ(outcome.report.error().empty(), c.outcome == DeliveryReport::OUTCOME_DELIVERED);
}

constexpr absl::Duration kSecond = absl::Seconds(30);
INSTANTIATE_TEST_SUITE_P(
    OfADestination, Answer,
    testing::Values(AnswerCase{"Taken", 200, DeliveryReport::OUTCOME_DELIVERED},
                    AnswerCase{"Garbage", 200, DeliveryReport::OUTCOME_FAILED, kSecond, "<html>"},
                    AnswerCase{"AnotherSuccess", 204, DeliveryReport::OUTCOME_FAILED, kSecond},
                    AnswerCase{"Redirect", 302, DeliveryReport::OUTCOME_FAILED, kSecond},
                    AnswerCase{"BadRequest", 400, DeliveryReport::OUTCOME_REFUSED},
                    AnswerCase{"Unauthorized", 401, DeliveryReport::OUTCOME_FAILED, kSecond},
                    AnswerCase{"Forbidden", 403, DeliveryReport::OUTCOME_PUT_OFF, absl::Minutes(1)},
                    AnswerCase{"NotFound", 404, DeliveryReport::OUTCOME_PUT_OFF, absl::Minutes(1)},
                    AnswerCase{"Gone", 410, DeliveryReport::OUTCOME_FAILED, absl::Hours(24 * 7)},
                    AnswerCase{"TooLarge", 413, DeliveryReport::OUTCOME_REFUSED},
                    AnswerCase{"TooMany", 429, DeliveryReport::OUTCOME_FAILED, kSecond},
                    AnswerCase{"TooManyForLong", 429, DeliveryReport::OUTCOME_FAILED, absl::Seconds(300), "{}", "300"},
                    AnswerCase{"RetrySoonerThanWeWould", 503, DeliveryReport::OUTCOME_FAILED, kSecond, "{}", "1"},
                    AnswerCase{"RetryInALifetime", 503, DeliveryReport::OUTCOME_FAILED, absl::Hours(24 * 7), "{}",
                               "99999999999"},
                    AnswerCase{"ServerError", 500, DeliveryReport::OUTCOME_FAILED, kSecond}),
    [](const auto& test) { return test.param.name; });

TEST(Answer, ThatNeverCameIsAFailure) {
  const auto outcome = OutcomeOf(Transaction(), absl::UnavailableError("no route"), BackOff(), kNow, 0);
  EXPECT_EQ(outcome.report.outcome(), DeliveryReport::OUTCOME_FAILED);
  EXPECT_EQ(outcome.report.error(), "no route");
}

TEST(Answer, MayNameEventsThatWereNotAcceptedAndIsStillADelivery) {
  const http::Response response{
      .status = 200, .headers = {}, .body = R"({"pdus":{"$one":{"error":"no power"},"$two":{},"$three":1}})"};
  const auto outcome = OutcomeOf(Transaction(), response, BackOff(), kNow, 0);
  EXPECT_EQ(outcome.report.outcome(), DeliveryReport::OUTCOME_DELIVERED);
  ASSERT_EQ(outcome.errors.size(), 1U);
  EXPECT_EQ(outcome.errors[0].event_id, "$one");
  EXPECT_EQ(outcome.errors[0].error, "no power");
}

TEST(BackOffTest, IsQuickOnceThenDoublesAndEndsAtAWeek) {
  const BackOff back_off;
  constexpr double kMiddle = 1.0 / 3;  // neither sooner nor later
  EXPECT_EQ(back_off.After(1, kMiddle), absl::Seconds(5));
  EXPECT_EQ(back_off.After(2, kMiddle), absl::Seconds(30));
  EXPECT_EQ(back_off.After(3, kMiddle), absl::Minutes(1));
  EXPECT_EQ(back_off.After(8, kMiddle), absl::Minutes(32));
  for (const unsigned failures : {20U, 64U, 1000U, 4'000'000'000U}) {
    EXPECT_EQ(back_off.After(failures, kMiddle), absl::Hours(24 * 7)) << failures;
    EXPECT_EQ(back_off.After(failures, 0.999), absl::Hours(24 * 7)) << failures;
  }
  EXPECT_EQ(back_off.After(2, 0), absl::Seconds(24));
  EXPECT_LT(back_off.After(2, 0.999), absl::Seconds(42));
}

}  // namespace
}  // namespace postern::gateway
