// Turns the rows of the database functions event_context and template_context into messages.
#pragma once

#include "postern/store/v1/store.pb.h"

namespace pqxx {
class result;
}

namespace postern::store {

/// What the store remembers in a context token. Opaque to everybody else.
struct ContextToken {
  std::int64_t position = 0;
  /// The state group before the event; 0 where it is unresolved.
  std::int64_t group_before = 0;
};

std::string EncodeToken(const ContextToken& token);
/// False if `text` is no token of ours.
bool DecodeToken(const std::string& text, ContextToken& token);

/// `rows` is not empty.
v1::EventContext ReadEventContext(const std::string& room_id, const pqxx::result& rows);
v1::TemplateContext ReadTemplateContext(const std::string& room_id, const pqxx::result& rows);

}  // namespace postern::store
