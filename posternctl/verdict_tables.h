// A verdict, and the state that it turned on, as tables for people and as JSON for scripts.
#pragma once

#include <string>
#include <vector>

#include "google/protobuf/repeated_ptr_field.h"
#include "matrix/json.h"
#include "matrix/room_rules.h"
#include "postern/validator/v1/validator.pb.h"

namespace postern::posternctl {

using KeysInQuestion = google::protobuf::RepeatedPtrField<validator::v1::KeyInQuestion>;

/// The keys of state that judging an event can turn on, to be asked of a store: those of its version's auth rules, of
/// leaves, and those that `verdict` says were relied on. For a PDU that cannot be read, those of the verdict alone.
std::vector<matrix::v1::StateKey> KeysToAskFor(const std::string& pdu, const matrix::RoomRules& rules,
                                               const matrix::v1::Verdict& verdict);

/// What Explain would say of the state in `context`.
KeysInQuestion KeysIn(const matrix::v1::JudgingContext& context, const std::string& pdu,
                      const matrix::RoomRules& rules);

/// `context` tells what the events were that the steps looked at; it may be empty.
void PrintVerdict(const matrix::v1::Verdict& verdict, const matrix::v1::JudgingContext& context);
void PrintKeys(const KeysInQuestion& keys, const matrix::v1::JudgingContext& context);

matrix::JsonObject VerdictJson(const matrix::v1::Verdict& verdict);
matrix::JsonArray KeysJson(const KeysInQuestion& keys);

}  // namespace postern::posternctl
