// What another server says of its keys is believed only as far as it proves itself (pitfalls K05, K07).
#include "services/gateway/key_document.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "matrix/base64.h"
#include "matrix/canonical_json.h"
#include "matrix/refusal.h"
#include "tests/gateway/remote_server.h"

namespace postern::gateway {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1700000000);
const RemoteServer& Remote() {
  static const RemoteServer remote;
  return remote;
}
matrix::ServerName RemoteName() { return *matrix::ServerName::Parse(kRemoteName); }

struct DocumentCase {
  const char* name;
  std::function<void(matrix::JsonObject&)> change;
  bool sign_again = true;
  bool believed = false;
};

class KeyDocument : public testing::TestWithParam<DocumentCase> {};

TEST_P(KeyDocument, IsBelievedOnlyIfItProvesItself) {
  matrix::JsonObject document = Remote().KeyDocument(kNow + absl::Hours(1));
  GetParam().change(document);
  if (GetParam().sign_again) {
    document.Erase("signatures");
    matrix::SignJson(document, kRemoteName, Remote().key());
  }
  const auto keys = ReadKeyDocument(matrix::CanonicalJson(document), RemoteName());
  EXPECT_EQ(matrix::ReasonOf(keys.status()),
            GetParam().believed ? matrix::Reason::kNone : matrix::Reason::kOriginKeyUnavailable);
}

void AddKey(matrix::JsonObject& document, std::string_view id, std::string_view bytes) {
  matrix::JsonObject key;
  key.Set("key", matrix::EncodeBase64(bytes));
  document.Find("verify_keys")->AsObject()->Set(id, std::move(key));
}

INSTANTIATE_TEST_SUITE_P(
    Documents, KeyDocument,
    testing::Values(DocumentCase{"AsPublished", [](auto&) {}, true, true},
                    DocumentCase{"OfAnotherServer", [](auto& d) { d.Set("server_name", "else.example"); }},
                    DocumentCase{"WithoutTime", [](auto& d) { d.Erase("valid_until_ts"); }},
                    DocumentCase{"TimeIsText", [](auto& d) { d.Set("valid_until_ts", "soon"); }},
                    DocumentCase{"OverItsTime", [](auto& d) { d.Set("valid_until_ts", 1); }, true, true},
                    DocumentCase{"WithoutKeys", [](auto& d) { d.Set("verify_keys", matrix::JsonObject()); }},
                    DocumentCase{"KeysAreAList", [](auto& d) { d.Set("verify_keys", matrix::JsonArray()); }},
                    DocumentCase{"ChangedAfterSigning", [](auto& d) { d.Set("extra", 1); }, false},
                    DocumentCase{"Unsigned", [](auto& d) { d.Erase("signatures"); }, false},
                    DocumentCase{"OneOfTwoKeysDidNotSign",
                                 [](auto& d) { AddKey(d, "ed25519:r2", KeyOf('s', "ed25519:r2").public_key()); }},
                    DocumentCase{"AnotherAlgorithmBeside", [](auto& d) { AddKey(d, "rsa:1", "anything"); }, true, true},
                    DocumentCase{"AShortKeyBeside", [](auto& d) { AddKey(d, "ed25519:short", "abc"); }, true, true}),
    [](const auto& test) { return test.param.name; });

TEST(KeyDocumentText, ThatIsNoObjectIsNotBelieved) {
  for (const std::string_view text : {"", "[]", "{", "null"}) {
    EXPECT_FALSE(ReadKeyDocument(text, RemoteName()).ok()) << text;
  }
  EXPECT_FALSE(ReadKeyDocument(std::string(kMaxKeyDocumentBytes + 1, ' '), RemoteName()).ok());
}

TEST(KeyDocumentText, IsKeptWithTheServersOwnSignaturesOnly) {
  matrix::JsonObject document = Remote().KeyDocument(kNow + absl::Hours(1));
  const std::string as_published = matrix::CanonicalJson(document);
  matrix::SignJson(document, "notary.example", KeyOf('n', "ed25519:n1"));
  document.Set("unsigned", matrix::JsonObject());
  const auto fetched = ReadKeyDocument(matrix::CanonicalJson(document), RemoteName());
  ASSERT_TRUE(fetched.ok()) << fetched.status();
  EXPECT_EQ(fetched->document->text(), as_published);
}

TEST(KeyDocumentText, IsNotKeptWhereItIsLong) {
  matrix::JsonObject document = Remote().KeyDocument(kNow + absl::Hours(1));
  document.Set("filling", std::string(8 * 1024, 'x'));
  document.Erase("signatures");
  matrix::SignJson(document, kRemoteName, Remote().key());
  const auto fetched = ReadKeyDocument(matrix::CanonicalJson(document), RemoteName());
  ASSERT_TRUE(fetched.ok()) << fetched.status();
  EXPECT_FALSE(fetched->document);
}

}  // namespace
}  // namespace postern::gateway
