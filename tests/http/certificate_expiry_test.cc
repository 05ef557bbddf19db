// Until when certificates are good, as a metric says it.
#include "http/certificate_expiry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>

#include "absl/time/clock.h"
#include "http/self_signed_certificate.h"
#include "matrix/refusal.h"

namespace postern::http {
namespace {

class CertificateExpiry : public testing::Test {
 protected:
  ~CertificateExpiry() override { std::remove(file_.c_str()); }
  void Write(const std::string& text) const { std::ofstream(file_) << text; }

  const std::string file_ = testing::TempDir() + "/postern_expiry_" + std::to_string(getpid()) + ".pem";
};

TEST_F(CertificateExpiry, IsTheEndOfTheOneThatEndsFirst) {
  const absl::Time before = absl::Now();
  const std::string one = MakeSelfSignedCertificate("a.example")->certificate;
  Write(one + MakeSelfSignedCertificate("b.example")->certificate);
  const auto end = EarliestEnd(file_);
  ASSERT_TRUE(end.ok()) << end.status();
  EXPECT_GE(*end, before + absl::Hours(30 * 24) - absl::Seconds(1));
  EXPECT_LE(*end, absl::Now() + absl::Hours(30 * 24));
}

TEST_F(CertificateExpiry, IsNotKnownOfWhatIsNoCertificate) {
  EXPECT_EQ(matrix::ReasonOf(EarliestEnd(file_ + ".none").status()), matrix::Reason::kInvalidArgument);
  Write("-----BEGIN CERTIFICATE-----\nnothing\n-----END CERTIFICATE-----\n");
  EXPECT_EQ(matrix::ReasonOf(EarliestEnd(file_).status()), matrix::Reason::kInvalidArgument);
}

TEST_F(CertificateExpiry, IsShownAsZeroWhereTheFileCannotBeReadAndNotAtAllWhereThereIsNone) {
  telemetry::Metrics metrics;
  ShowCertificate(metrics, "lost", file_ + ".none");
  ShowCertificate(metrics, "plain", "");
  EXPECT_THAT(metrics.Expose(), testing::HasSubstr(R"(postern_certificate_not_after_seconds{certificate="lost"} 0)"));
  EXPECT_THAT(metrics.Expose(), testing::Not(testing::HasSubstr("plain")));
}

}  // namespace
}  // namespace postern::http
