// absl::Status ↔ grpc::Status, with the Reason as its fixed proto number (proto/postern/matrix/v1/refusal.proto).
#pragma once

#include <grpcpp/support/status.h>

#include "absl/status/status.h"
#include "matrix/refusal.h"

namespace postern::rpc {

grpc::Status ToGrpc(const absl::Status& status);

/// The reverse. A status that carries no Reason is trouble of the transport: it becomes `unreachable` (UNAVAILABLE and
/// the like), kDeadlineExceeded, kOverloaded, or kInternal; an unknown number becomes kInternal.
absl::Status FromGrpc(const grpc::Status& status, matrix::Reason unreachable);

}  // namespace postern::rpc
