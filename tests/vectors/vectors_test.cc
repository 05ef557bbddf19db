// Every case of tests/vectors: the output equals what is expected as a JSON value, numbers exactly.
#include <fstream>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "matrix/canonical_json.h"
#include "tests/vectors/case_line.h"

namespace postern::vectors {
namespace {

using matrix::CanonicalJson;
using matrix::Json;

class Vectors : public testing::TestWithParam<const char*> {};

TEST_P(Vectors, AreAnsweredAsExpected) {
  std::ifstream file(std::string("tests/vectors/") + GetParam() + ".jsonl");
  std::size_t cases = 0;
  for (std::string line; std::getline(file, line); ++cases) {
    const auto parsed = matrix::ParseJson(line);
    ASSERT_TRUE(parsed.ok()) << line;
    const auto& fields = *parsed->AsObject();
    const Json output = Answer(*fields.Find("op")->AsString(), *fields.Find("input"));
    EXPECT_EQ(CanonicalJson(output), CanonicalJson(*fields.Find("expect"))) << CanonicalJson(*fields.Find("id"));
  }
  EXPECT_GT(cases, 0U);
}

INSTANTIATE_TEST_SUITE_P(Operations, Vectors,
                         testing::Values("canonical_json", "content_hash", "event_id", "redact", "sign_event",
                                         "verify_event", "xmatrix_parse", "xmatrix_sign", "xmatrix_verify",
                                         "check_event_format", "auth_types", "auth_check", "state_resolve"),
                         [](const auto& op) { return std::string(op.param); });

struct OddLine {
  std::string line;
  std::string id;  // as JSON
};

TEST(ConformanceProgram, AnswersWhatItCannotReadAsUnsupported) {
  const std::string lone = R"("\ud800")";
  const std::vector<OddLine> lines{
      {"", "null"},
      {"not json", "null"},
      {"[1]", "null"},
      {R"({"op":"redact","input":{}})", "null"},
      {R"({"id":7,"op":"redact","input":{}})", "7"},
      {R"({"id":"a"})", R"("a")"},
      {R"({"id":"a","op":"no_such","input":{}})", R"("a")"},
      {R"({"id":"a","op":"state_resolve","input":{"room_version":"1","state_sets":[],"events":[]}})", R"("a")"},
      {R"({"id":"a","op":"redact","input":[]})", R"("a")"},
      {R"({"id":"a","op":"redact","input":{"room_version":"13","event":{}}})", R"("a")"},
      {R"({"id":"a","op":"redact","input":{"room_version":10,"event":{}}})", R"("a")"},
      {R"({"id":"a","op":"content_hash","input":{"event":null}})", R"("a")"},
      {R"({"id":"a","op":"canonical_json","input":{"json":{}}})", R"("a")"},
      {R"({"id":"a","op":"content_hash","input":{"event":{"x":1,"x":2}}})", R"("a")"},
      {R"({"op":"content_hash","input":{"event":{"id":"no","x":)" + lone + R"(}},"id":"a"})", R"("a")"},
      {R"({"id":"a","op":"content_hash","input":{"event":)", R"("a")"},
      {R"({"id":"a","op":"xmatrix_sign","input":{"method":"GET","uri":"/","origin":"a","destination":"b",)"
       R"("key_id":"rsa:1","seed":"AAAA"}})",
       R"("a")"},
      {R"({"id":"a","op":"auth_check","input":{"room_version":"10","event":{},"state":[]}})", R"("a")"},
  };
  for (const OddLine& odd : lines) {
    EXPECT_EQ(AnswerLine(odd.line), R"({"id":)" + odd.id + R"(,"output":{"unsupported":true}})") << odd.line;
  }
}

}  // namespace
}  // namespace postern::vectors
