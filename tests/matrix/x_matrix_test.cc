#include "matrix/x_matrix.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "matrix/refusal.h"

namespace postern::matrix {
namespace {

struct HeaderCase {
  const char* name;
  std::string header;
  bool parses = true;
};

class Header : public testing::TestWithParam<HeaderCase> {};

TEST_P(Header, IsReadByTheGrammar) {
  const auto parsed = ParseXMatrix(GetParam().header);
  ASSERT_EQ(parsed.ok(), GetParam().parses) << parsed.status();
  if (!parsed.ok()) {
    EXPECT_EQ(ReasonOf(parsed.status()), Reason::kUnauthenticated);
    return;
  }
  EXPECT_EQ(parsed->origin, "a.example:8448");
  EXPECT_EQ(parsed->destination, "b.example");
  EXPECT_EQ(parsed->key, "ed25519:k");
  EXPECT_EQ(parsed->sig, "ab+/");
}

// X01. What is refused differs from the first in one place.
INSTANTIATE_TEST_SUITE_P(
    Cases, Header,
    testing::ValuesIn(std::vector<HeaderCase>{
        {"Quoted", R"(X-Matrix origin="a.example:8448",destination="b.example",key="ed25519:k",sig="ab+/")"},
        {"BareColons", R"(X-Matrix origin=a.example:8448,destination=b.example,key=ed25519:k,sig="ab+/")"},
        {"AnyOrder", R"(X-Matrix sig="ab+/",key="ed25519:k",destination="b.example",origin="a.example:8448")"},
        {"AnyCase", R"(x-mATRIX Origin="a.example:8448",DESTINATION="b.example",kEY="ed25519:k",Sig="ab+/")"},
        {"SeveralSpaces", R"(X-Matrix   origin="a.example:8448",destination="b.example",key="ed25519:k",sig="ab+/")"},
        {"BlanksAtCommas",
         "X-Matrix origin=\"a.example:8448\" ,\tdestination=\"b.example\" \t, key=\"ed25519:k\",sig=\"ab+/\""},
        {"Escapes", R"(X-Matrix origin="a\.exampl\e:8448",destination="b.example",key="ed25519:k",sig="ab+/")"},
        {"UnknownNames",
         R"(X-Matrix x=1,origin="a.example:8448",destination="b.example",key="ed25519:k",y="\",z",sig="ab+/")"},
        {"Nothing", "", false},
        {"SchemeAlone", "X-Matrix", false},
        {"AnotherScheme", R"(Bearer origin="a.example:8448",destination="b.example",key="ed25519:k",sig="ab+/")",
         false},
        {"NoSpace", R"(X-Matrixorigin="a.example:8448",destination="b.example",key="ed25519:k",sig="ab+/")", false},
        {"TabAfterTheScheme",
         "X-Matrix\torigin=\"a.example:8448\",destination=\"b.example\",key=\"ed25519:k\",sig=\"ab+/\"", false},
        {"NoOrigin", R"(X-Matrix destination="b.example",key="ed25519:k",sig="ab+/")", false},
        {"NoKey", R"(X-Matrix origin="a.example:8448",destination="b.example",sig="ab+/")", false},
        {"NoSig", R"(X-Matrix origin="a.example:8448",destination="b.example",key="ed25519:k")", false},
        {"RepeatedName",
         R"(X-Matrix origin="a.example:8448",destination="b.example",key="ed25519:k",sig="ab+/",Origin="x")", false},
        {"RepeatedUnknownName",
         R"(X-Matrix x=1,x=2,origin="a.example:8448",destination="b.example",key="ed25519:k",sig="ab+/")", false},
        {"Unterminated", R"(X-Matrix origin="a.example:8448",destination="b.example",key="ed25519:k",sig="ab+/)",
         false},
        {"BackslashAtTheEnd", R"(X-Matrix origin="a.example:8448",destination="b.example",key="ed25519:k",sig="ab+/\)",
         false},
        {"SlashInABareValue", R"(X-Matrix origin="a.example:8448",destination="b.example",key="ed25519:k",sig=ab+/)",
         false},
        {"SemicolonBetween", R"(X-Matrix origin="a.example:8448";destination="b.example",key="ed25519:k",sig="ab+/")",
         false},
        {"TextAfterAQuote", R"(X-Matrix origin="a.example:8448"x,destination="b.example",key="ed25519:k",sig="ab+/")",
         false},
        {"TrailingComma", R"(X-Matrix origin="a.example:8448",destination="b.example",key="ed25519:k",sig="ab+/",)",
         false},
        {"NameAlone", R"(X-Matrix origin,destination="b.example",key="ed25519:k",sig="ab+/")", false},
        {"ControlCharacter",
         "X-Matrix origin=\"a.example:8448\x01\",destination=\"b.example\",key=\"ed25519:k\",sig=\"ab+/\"", false},
    }),
    [](const auto& c) { return std::string(c.param.name); });

// X02
TEST(ParseXMatrix, LetsTheDestinationBeAbsent) {
  const auto parsed = ParseXMatrix("X-Matrix origin=a,key=ed25519:k,sig=s");
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->destination, std::nullopt);
}

TEST(IsXMatrix, LooksAtTheSchemeOnly) {
  for (const char* text : {"X-Matrix", "x-matrix  ", "X-MATRIX nonsense"}) EXPECT_TRUE(IsXMatrix(text)) << text;
  for (const char* text : {"", "X-Matri", "X-Matrixx a=b", "Bearer X-Matrix"}) EXPECT_FALSE(IsXMatrix(text)) << text;
}

TEST(FormatXMatrix, WritesWhatIsReadTheSame) {
  for (const XMatrixHeader& header : {XMatrixHeader{"a.example:8448", "[::1]:1", "ed25519:k", "ab+/"},
                                      XMatrixHeader{"a\"b\\c", std::nullopt, "k", "s"}}) {
    const auto parsed = ParseXMatrix(FormatXMatrix(header));
    ASSERT_TRUE(parsed.ok()) << FormatXMatrix(header);
    EXPECT_EQ(parsed->origin, header.origin);
    EXPECT_EQ(parsed->destination, header.destination);
    EXPECT_EQ(parsed->key, header.key);
    EXPECT_EQ(parsed->sig, header.sig);
  }
}

class Request : public testing::Test {
 protected:
  const SigningKey key_ = *SigningKey::FromSeed("ed25519:k", std::string(kSeedBytes, 'k'));
  const Json empty_ = JsonObject();
  const SignedRequest put_{"PUT", "/x?a=%21b", "a.example", "b.example", &empty_};
  const std::string sig_ = SignRequest(put_, key_);
};

// X04
TEST_F(Request, SignsContentOnlyWhereThereIsSome) {
  EXPECT_EQ(RequestToSign(put_),
            R"({"content":{},"destination":"b.example","method":"PUT","origin":"a.example","uri":"/x?a=%21b"})");
  EXPECT_EQ(RequestToSign({"GET", "/", "a", "b"}), R"({"destination":"b","method":"GET","origin":"a","uri":"/"})");
}

TEST_F(Request, IsVerifiedAsItWasSigned) {
  EXPECT_TRUE(VerifyRequest(put_, sig_, key_.public_key()));
  EXPECT_TRUE(VerifyRequest(put_, sig_ + "==", key_.public_key()));
}

// X03
TEST_F(Request, FailsOnAnyChange) {
  const Json other = Json(JsonArray());
  const std::vector<SignedRequest> changed{{"put", put_.uri, put_.origin, put_.destination, &empty_},
                                           {"PUT", "/x?a=!b", put_.origin, put_.destination, &empty_},
                                           {"PUT", put_.uri, "A.example", put_.destination, &empty_},
                                           {"PUT", put_.uri, put_.origin, "", &empty_},
                                           {"PUT", put_.uri, put_.origin, put_.destination, &other},
                                           {"PUT", put_.uri, put_.origin, put_.destination, nullptr}};
  for (const SignedRequest& request : changed) {
    EXPECT_FALSE(VerifyRequest(request, sig_, key_.public_key())) << RequestToSign(request);
  }
  for (const std::string& sig : {std::string(), sig_.substr(2), sig_ + "AA", "?" + sig_.substr(1)}) {
    EXPECT_FALSE(VerifyRequest(put_, sig, key_.public_key())) << sig;
  }
}

}  // namespace
}  // namespace postern::matrix
