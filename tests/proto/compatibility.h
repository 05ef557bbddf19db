// What a newer set of .proto files must not change, for old and new services to understand each other while they are
// upgraded side by side, and for what is stored to stay readable.
#pragma once

#include <google/protobuf/descriptor.h>

#include <string>
#include <vector>

namespace postern::proto {

/// What of `before` is not as it was in `now`: each a sentence. A field keeps its number, type, cardinality and oneof;
/// it may go only if its number is reserved. An enum's value keeps its number, or that is reserved. A method keeps its
/// messages, and whether they are streams. Names of fields may change: they are not on the wire. Both pools hold the
/// `files` of `before`.
std::vector<std::string> Incompatibilities(const google::protobuf::DescriptorPool& before,
                                           const google::protobuf::DescriptorPool& now,
                                           const std::vector<std::string>& files);

}  // namespace postern::proto
