// The .proto files against those of the last release (released.binpb), and the comparison itself.
#include "tests/proto/compatibility.h"

#include <gmock/gmock.h>
#include <google/protobuf/compiler/importer.h>
#include <google/protobuf/compiler/parser.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <gtest/gtest.h>

#include <fstream>

namespace postern::proto {
namespace {

using google::protobuf::DescriptorPool;
using google::protobuf::FileDescriptorProto;
using google::protobuf::FileDescriptorSet;

class Complaints : public google::protobuf::compiler::MultiFileErrorCollector {
 public:
  void AddError(const std::string& file, int line, int /*column*/, const std::string& message) override {
    ADD_FAILURE() << file << ":" << line + 1 << ": " << message;
  }
};

TEST(ProtoCompatibility, WhatWasReleasedIsUnderstoodStill) {
  std::ifstream file("tests/proto/released.binpb", std::ios::binary);
  FileDescriptorSet released;
  ASSERT_TRUE(released.ParseFromIstream(&file));
  ASSERT_GT(released.file_size(), 0);
  DescriptorPool before;
  google::protobuf::compiler::DiskSourceTree sources;
  sources.MapPath("", "proto");
  Complaints complaints;
  google::protobuf::compiler::Importer now(&sources, &complaints);
  std::vector<std::string> files;
  for (const FileDescriptorProto& one : released.file()) {
    ASSERT_NE(before.BuildFile(one), nullptr);
    ASSERT_NE(now.Import(one.name()), nullptr) << one.name() << " is gone";
    files.push_back(one.name());
  }
  EXPECT_THAT(Incompatibilities(before, *now.pool(), files), testing::IsEmpty());
}

/// Holds one file, given as its text.
void Build(const std::string& text, DescriptorPool& pool) {
  google::protobuf::io::ArrayInputStream stream(text.data(), static_cast<int>(text.size()));
  google::protobuf::io::Tokenizer tokenizer(&stream, nullptr);
  FileDescriptorProto file;
  ASSERT_TRUE(google::protobuf::compiler::Parser().Parse(&tokenizer, &file)) << text;
  file.set_name("x.proto");
  ASSERT_NE(pool.BuildFile(file), nullptr) << text;
}

struct Change {
  const char* name;
  const char* before;
  const char* now;
  /// What of it is found, at least in these words; "" for nothing.
  const char* found;
};

class Changes : public testing::TestWithParam<Change> {};

TEST_P(Changes, AreFoundWhereAnOlderServiceWouldNotUnderstand) {
  const std::string head = "syntax = \"proto3\"; package p; ";
  DescriptorPool before, now;
  Build(head + GetParam().before, before);
  Build(head + GetParam().now, now);
  const std::vector<std::string> found = Incompatibilities(before, now, {"x.proto"});
  if (*GetParam().found == '\0') {
    EXPECT_THAT(found, testing::IsEmpty());
  } else {
    EXPECT_THAT(found, testing::ElementsAre(testing::HasSubstr(GetParam().found)));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Table, Changes,
    testing::Values(
        Change{"AFieldIsAdded", "message M { int32 a = 1; }", "message M { int32 a = 1; int32 b = 2; }", ""},
        Change{"AFieldIsRenamed", "message M { int32 a = 1; }", "message M { int32 b = 1; }", ""},
        Change{"AFieldGoesAndItsNumberIsReserved", "message M { int32 a = 1; }", "message M { reserved 1; }", ""},
        Change{"AFieldGoes", "message M { int32 a = 1; }", "message M { }", "p.M.a is gone"},
        Change{"AFieldChangesItsNumber", "message M { int32 a = 1; }", "message M { int32 a = 2; }", "p.M.a is gone"},
        Change{"AFieldChangesItsType", "message M { int32 a = 1; }", "message M { string a = 1; }",
               "was int32 and is string"},
        Change{"AFieldChangesItsMessage", "message A { } message B { } message M { A a = 1; }",
               "message A { } message B { } message M { B a = 1; }", "was p.A and is p.B"},
        Change{"AFieldBecomesRepeated", "message M { bytes a = 1; }", "message M { repeated bytes a = 1; }",
               "was bytes and is repeated bytes"},
        Change{"AFieldEntersAOneof", "message M { bytes a = 1; }", "message M { oneof x { bytes a = 1; } }",
               "is one of x, bytes"},
        Change{"AFieldOfANestedMessageGoes", "message M { message N { int32 a = 1; } }", "message M { message N { } }",
               "p.M.N.a is gone"},
        Change{"AMessageGoes", "message M { } message N { }", "message N { }", "message p.M is gone"},
        Change{"AValueIsAdded", "enum E { Z = 0; }", "enum E { Z = 0; A = 1; }", ""},
        Change{"AValueGoes", "enum E { Z = 0; A = 1; }", "enum E { Z = 0; }", "value p.A is gone"},
        Change{"AValueGoesAndItsNumberIsReserved", "enum E { Z = 0; A = 1; }", "enum E { Z = 0; reserved 1; }", ""},
        Change{"ANumberGetsAnotherValue", "enum E { Z = 0; A = 1; }", "enum E { Z = 0; B = 1; }", "was A and is B"},
        Change{"AnRpcIsAdded", "message M { } service S { }", "message M { } service S { rpc A(M) returns (M); }", ""},
        Change{"AnRpcGoes", "message M { } service S { rpc A(M) returns (M); }", "message M { } service S { }",
               "rpc p.S.A is gone"},
        Change{"AnRpcBecomesAStream", "message M { } service S { rpc A(M) returns (M); }",
               "message M { } service S { rpc A(M) returns (stream M); }", "is (p.M) returns (stream p.M)"},
        Change{"AServiceGoes", "service S { }", "", "service p.S is gone"}),
    [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace postern::proto
