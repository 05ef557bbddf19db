// One line of cases in, one line of outputs out.
#pragma once

#include <string>
#include <string_view>

#include "matrix/json.h"

namespace postern::vectors {

/// The output of `op` for `input`; `{"unsupported":true}` for a malformed case and for an operation that is not built.
matrix::Json Answer(std::string_view op, const matrix::Json& input);

/// `{"id":…,"output":…}`, without a line feed. A line that cannot be read answers with the id it holds, else null.
std::string AnswerLine(std::string_view line);

}  // namespace postern::vectors
