// What travels (proto/postern/matrix/v1/judging.proto) ↔ what is judged (matrix/six_steps.h).
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "google/protobuf/repeated_ptr_field.h"
#include "matrix/six_steps.h"
#include "postern/matrix/v1/judging.pb.h"
#include "postern/validator/v1/validator.pb.h"
#include "services/validator/recurring_events.h"

namespace postern::validator {

/// The context of one event, with the events that it looks into.
class DecodedContext {
 public:
  /// Reads the events that judging looks at, by `recurring`, which outlives the context. The id of each is computed and
  /// must be the one it is given under.
  ///
  /// Refuses: kUnsupportedVersion; kInvalidArgument where an event cannot be read or has another id, or where a state
  /// or a branch names an event that the context does not hold, or one of another key.
  static absl::StatusOr<DecodedContext> From(const postern::matrix::v1::JudgingContext& context,
                                             RecurringEvents& recurring);

  const matrix::RoomRules& rules() const { return *rules_; }
  const matrix::JudgingContext& judging() const { return judging_; }

 private:
  using Given = std::map<std::string_view, const postern::matrix::v1::StoredEvent*>;

  explicit DecodedContext(RecurringEvents& recurring) : recurring_(&recurring) {}
  absl::StatusOr<const matrix::Event*> EventOf(const Given& given, const std::string& event_id);
  absl::Status AddAsOurs(const google::protobuf::RepeatedPtrField<postern::matrix::v1::StateEntry>& entries,
                         const Given& given, matrix::RoomState& state);
  /// The entry may say that there is no such entry: an empty event id, for which nothing is read.
  absl::Status AddEntries(const google::protobuf::RepeatedPtrField<postern::matrix::v1::StateEntry>& entries,
                          const Given& given, matrix::StateMap& state);
  absl::Status AddBranches(const postern::matrix::v1::Branches& branches, const Given& given);
  absl::Status AddReferences(const google::protobuf::RepeatedPtrField<postern::matrix::v1::Reference>& references,
                             const Given& given, bool read_events, std::vector<matrix::Cited>& cited);

  RecurringEvents* recurring_;
  const matrix::RoomRules* rules_ = nullptr;
  std::map<std::string, std::shared_ptr<const matrix::Event>, std::less<>> events_;
  matrix::JudgingContext judging_;
};

matrix::KeyDirectory DecodeKeys(const google::protobuf::RepeatedPtrField<v1::ServerKeys>& servers);

void EncodeVerdict(const matrix::Verdict& verdict, postern::matrix::v1::Verdict& message);

}  // namespace postern::validator
