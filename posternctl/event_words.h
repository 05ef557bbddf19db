// Events and verdicts in few words, for tables and pictures.
#pragma once

#include <string>
#include <string_view>

#include "postern/matrix/v1/judging.pb.h"

namespace postern::posternctl {

/// "m.room.member @ann:there.example", "m.room.create". Control characters are spelled out.
std::string KeyText(std::string_view type, std::string_view state_key);

/// What an event says: "invite by @boss:here.example" of a member event, "join_rule invite", "version 10"; else who set
/// it.
std::string InFewWords(std::string_view pdu);

/// "accepted", …; "-" where there is none.
std::string OutcomeText(matrix::v1::Outcome outcome);
std::string StepText(const matrix::v1::StepResult& step);
std::string ReasonText(matrix::v1::Reason reason);

/// `text` in at most `most` characters (not bytes), "…" for the rest.
std::string Shortened(std::string_view text, std::size_t most);

}  // namespace postern::posternctl
