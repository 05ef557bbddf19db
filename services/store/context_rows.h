// What event_context and template_context answer (functions/contexts.sql), as the messages of the rpcs.
#pragma once

#include <string>

#include "postern/store/v1/store.pb.h"
#include "services/store/context_token.h"
#include "services/store/database_connection.h"

namespace postern::store {

/// Columns of a row; what they hold hangs on its kind.
enum ContextColumn { kKind, kId, kA, kB, kN1, kN2, kN3, kF1, kF2, kF3 };

/// A row that says which event a key of state has.
void DecodeEntry(const Rows& rows, std::size_t row, matrix::v1::StateEntry& entry);

struct ContextRows {
  matrix::v1::JudgingContext judging;
  std::string membership;
  bool resident = false;
  std::optional<v1::ExistingEvent> existing;
  ContextToken token;
};

/// The rows of a room that is known: there is at least one.
ContextRows DecodeContextRows(const Rows& rows, const std::string& room_id);

}  // namespace postern::store
