// The operations of README.md. Each takes a case's input and gives its output, or nullopt where the input is malformed.
#pragma once

#include <optional>

#include "matrix/json.h"
#include "tests/vectors/input.h"

namespace postern::vectors {

using Output = std::optional<matrix::JsonObject>;

Output AnswerCanonicalJson(const Input& input);
Output AnswerContentHash(const Input& input);
Output AnswerEventId(const Input& input);
Output AnswerRedact(const Input& input);
Output AnswerSignEvent(const Input& input);
Output AnswerVerifyEvent(const Input& input);
Output AnswerCheckEventFormat(const Input& input);
Output AnswerAuthTypes(const Input& input);
Output AnswerAuthCheck(const Input& input);
Output AnswerStateResolve(const Input& input);

Output AnswerXMatrixParse(const Input& input);
Output AnswerXMatrixSign(const Input& input);
Output AnswerXMatrixVerify(const Input& input);

}  // namespace postern::vectors
