// posternctl leave --batch: many leaves of one played server, several at once; a line of JSON for each answer.
#pragma once

#include "posternctl/leave_options.h"

namespace postern::posternctl {

/// Plays every leave of `options.batch_file` against `options.url`, `options.concurrency` at once, each as a single one
/// goes: template (unless the line brings one, and it is signed beforehand), complete, sign, submit. Prints a line as
/// each ends. The time of a leave that is due at a moment counts from then, however late it begins: a slow server is
/// not spared what waits for it meanwhile. Returns the exit status: kExitOk if every answer was 200, kExitUnreachable
/// if one had none, else kExitRefused.
int LeaveInBatch(const LeaveOptions& options);

}  // namespace postern::posternctl
