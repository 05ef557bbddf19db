// Whether a text is a connection string of PostgreSQL; nothing is connected to.
#pragma once

#include <string>

namespace postern::store {

/// As PostgreSQL's own library reads it: a URI, or words `keyword=value`, of keywords that it knows.
bool IsConnectionString(const std::string& text);

}  // namespace postern::store
