#include "matrix/refusal.h"

#include <cctype>
#include <string>

#include "gmock/gmock.h"
#include "postern/matrix/v1/refusal.pb.h"

namespace postern::matrix {
namespace {

TEST(Reason, HasTheNumberAndNameOfTheProto) {
  const auto* numbers = v1::Reason_descriptor();
  for (int i = 0; i < numbers->value_count(); ++i) {
    const auto* value = numbers->value(i);
    const Reason reason = ReasonFromNumber(value->number());
    EXPECT_EQ(static_cast<int>(reason), value->number());
    std::string name = std::string(value->name()).substr(std::string("REASON_").size());
    for (char& c : name) c = static_cast<char>(std::tolower(c));
    EXPECT_EQ(RefusalOf(reason).name, name);
  }
  EXPECT_EQ(numbers->value_count(), static_cast<int>(Reason::kLast) + 1);
}

TEST(Reason, OfAnUnknownNumberIsInternal) {
  EXPECT_EQ(ReasonFromNumber(9999), Reason::kInternal);
  EXPECT_EQ(ReasonFromNumber(-1), Reason::kInternal);
}

TEST(Refuse, CarriesItsReasonAndDetail) {
  const absl::Status status = Refuse(Reason::kBadSignature, "who");
  EXPECT_EQ(ReasonOf(status), Reason::kBadSignature);
  EXPECT_EQ(DetailOf(status), "who");
}

TEST(ReasonOf, AStatusOfOthersIsTheClosestOfOurOwn) {
  EXPECT_EQ(ReasonOf(absl::OkStatus()), Reason::kNone);
  EXPECT_EQ(ReasonOf(absl::DeadlineExceededError("x")), Reason::kDeadlineExceeded);
  EXPECT_EQ(ReasonOf(absl::DataLossError("x")), Reason::kInternal);
}

}  // namespace
}  // namespace postern::matrix
