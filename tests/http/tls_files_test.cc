// What is wrong with a pair of certificate and key, before anybody shows it.
#include "http/tls_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "absl/time/clock.h"
#include "http/self_signed_certificate.h"
#include "matrix/refusal.h"

namespace postern::http {
namespace {

constexpr const char* kEncrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----\n";

/// In a directory: a pair (a.crt, a.key), another (b.crt, b.key), and files that are none.
class TlsFiles : public testing::Test {
 protected:
  TlsFiles() : directory_(testing::TempDir() + "/postern_tls_files_" + std::to_string(getpid())) {
    std::filesystem::create_directories(directory_);
    for (const std::string name : {"a", "b"}) {
      EXPECT_TRUE(WritePem(*MakeSelfSignedCertificate(name + ".example"), At(name + ".crt"), At(name + ".key")).ok());
    }
    std::ofstream(At("garbage")) << "nothing\n";
    std::ofstream(At("encrypted.key")) << kEncrypted;
    std::ofstream(At("empty"));
  }
  ~TlsFiles() override { std::filesystem::remove_all(directory_); }
  std::string At(const std::string& name) const { return directory_ + "/" + name; }

  const std::string directory_;
};

struct PairCase {
  const char* certificate;
  const char* key;
  absl::Duration later;
  const char* mistake;  // "": none
};

TEST_F(TlsFiles, ArePairsThatAreGoodNow) {
  for (const PairCase& c : {
           PairCase{"a.crt", "a.key", absl::ZeroDuration(), ""},
           PairCase{"a.crt", "b.key", absl::ZeroDuration(),
                    "key_file: .*b.key: is not the key of the certificate in .*a.crt"},
           PairCase{"none", "a.key", absl::ZeroDuration(), "certificate_file: .*none: .+"},
           PairCase{"garbage", "a.key", absl::ZeroDuration(), "certificate_file: .*garbage: .+"},
           PairCase{"empty", "a.key", absl::ZeroDuration(), "certificate_file: .*empty: .+"},
           PairCase{"a.key", "a.key", absl::ZeroDuration(), "certificate_file: .*a.key: .+"},
           PairCase{"a.crt", "none", absl::ZeroDuration(), "key_file: .*none: .+"},
           PairCase{"a.crt", "a.crt", absl::ZeroDuration(), "key_file: .*a.crt: .+"},
           PairCase{"a.crt", "encrypted.key", absl::ZeroDuration(), "key_file: .*encrypted.key: .+"},
           PairCase{"a.crt", "a.key", absl::Hours(31 * 24), "certificate_file: .*a.crt: a certificate ended at 2.*Z"},
           PairCase{"a.crt", "a.key", -absl::Hours(2),
                    "certificate_file: .*a.crt: a certificate is not good before 2.*Z"},
       }) {
    const std::string certificate = At(c.certificate), key = At(c.key);
    const absl::Status status =
        CheckTlsPair({"certificate_file", certificate}, {"key_file", key}, absl::Now() + c.later);
    EXPECT_THAT(std::string(status.message()), testing::MatchesRegex(c.mistake));
    EXPECT_EQ(status.ok(), std::string(c.mistake).empty());
  }
}

TEST_F(TlsFiles, OfAServiceAreAllLookedAt) {
  const std::string none, a_crt = At("a.crt"), a_key = At("a.key"), b_key = At("b.key"), garbage = At("garbage");
  const auto mistakes = [](const ServiceFiles& files) { return CheckServiceFiles(files, absl::Now()).size(); };
  EXPECT_EQ(mistakes({true, none, none, none, none}), 0U);
  EXPECT_EQ(mistakes({true, garbage, garbage, garbage, none}), 0U);  // not asked for
  EXPECT_EQ(mistakes({false, a_crt, a_key, a_crt, a_crt}), 0U);
  EXPECT_EQ(mistakes({false, none, none, none, none}), 3U);
  EXPECT_EQ(mistakes({false, a_crt, b_key, garbage, garbage}), 3U);
}

}  // namespace
}  // namespace postern::http
