// What an operator may tell a store of its database, and what is refused.
#include "services/store/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <string>

namespace postern::store {
namespace {

using configuration::Start;

struct UriCase {
  const char* name;
  const char* uri;
  bool good;
};

class DatabaseUri : public testing::TestWithParam<UriCase> {
 protected:
  ~DatabaseUri() override { std::remove(file_.c_str()); }
  const std::string file_ = testing::TempDir() + "/postern_uri_" + std::to_string(getpid());
};

TEST_P(DatabaseUri, IsReadAsPostgresqlReadsItAndNeverShown) {
  std::ofstream(file_) << GetParam().uri << "\n";
  const char* arguments[] = {"postern-store", "--check-config",      "--server-name", "here.example",
                             "--plaintext",   "--database-uri-file", file_.c_str()};
  StoreConfig config;
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  const Start start = ReadConfig(static_cast<int>(std::size(arguments)), arguments, config);
  testing::internal::GetCapturedStdout();
  const std::string mistakes = testing::internal::GetCapturedStderr();
  EXPECT_EQ(start, GetParam().good ? Start::kExitOk : Start::kExitError) << mistakes;
  EXPECT_THAT(mistakes, testing::Not(testing::HasSubstr("secret")));
  const char* says = GetParam().good ? "" : "--database-uri-file: database_uri_file: ";
  EXPECT_THAT(mistakes, testing::HasSubstr(says));
}

INSTANTIATE_TEST_SUITE_P(
    Texts, DatabaseUri,
    testing::Values(
        UriCase{"Uri", "postgresql://postern:secret@db.example/postern?sslmode=verify-full", true},
        UriCase{"SeveralHosts", "postgres://u:secret@a:5432,b:5433/d?target_session_attrs=read-write", true},
        UriCase{"Words", "host=/run/postgresql dbname=postern password=secret", true},
        UriCase{"SpacesInAUri", "postgresql://u:secret@db.example/post ern?a b", false},
        UriCase{"UnknownOption", "postgresql://u:secret@db.example/postern?sslmod=verify-full", false},
        UriCase{"UnknownWord", "host=db.example pasword=secret", false}, UriCase{"NoWord", "db.example secret", false},
        UriCase{"AnotherScheme", "mysql://u:secret@db.example/postern", false}, UriCase{"Empty", "", false}),
    [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace postern::store
