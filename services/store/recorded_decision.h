// What is kept of a verdict, so that the same decision can be reached again: see RecordedInputs in
// proto/postern/matrix/v1/judging.proto. The same for PostgreSQL and for the fake of the tests.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "postern/store/v1/store.pb.h"
#include "services/store/context_token.h"

namespace postern::store {

inline constexpr int kDecisionsPerPage = 100;
/// A page ends after the decision that takes it over this many bytes.
inline constexpr std::size_t kDecisionBytesPerPage = 2'000'000;

/// The verdict of `request` as it is stored: without its copy of the event, with what it was reached on. A rejected
/// event is kept in there whole, at most 64 KiB of it; there are as many of those as the store keeps refusals.
matrix::v1::Verdict VerdictToKeep(const v1::PersistEventRequest& request, const ContextToken& token);

/// The bytes that `kept` was reached on: those kept with it, else `stored_pdu` without the signature that `server_name`
/// added when it countersigned (the hash in the verdict says which those are). "" where nothing is kept.
std::string JudgedPdu(const std::string& stored_pdu, const matrix::v1::Verdict& kept, std::string_view server_name);

/// Whether a page is full. `bytes` is what its decisions take so far.
bool PageIsFull(const v1::ListDecisionsResponse& page, std::size_t bytes);

/// until_ms, where 0 is no bound.
std::int64_t UntilOf(const v1::ListDecisionsRequest& request);

}  // namespace postern::store
