#include "rpc/status_codec.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "postern/matrix/v1/refusal.pb.h"

namespace postern::rpc {
namespace {

using matrix::Reason;

// What the transport itself says when no service has answered.
Reason ReasonOfTransport(grpc::StatusCode code, Reason unreachable) {
  switch (code) {
    case grpc::StatusCode::UNAVAILABLE:
    case grpc::StatusCode::PERMISSION_DENIED:  // the server lets this process in no more than one that is not there
    case grpc::StatusCode::UNAUTHENTICATED:
    case grpc::StatusCode::CANCELLED:  // no caller of ours does that: a server that ends does, to what it has not begun
      return unreachable;
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      return Reason::kDeadlineExceeded;
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
      return Reason::kOverloaded;
    case grpc::StatusCode::NOT_FOUND:
      return Reason::kNotFound;
    case grpc::StatusCode::INVALID_ARGUMENT:
      return Reason::kInvalidArgument;
    default:
      return Reason::kInternal;
  }
}

// A detail may quote what a stranger wrote; a proto string that is no UTF-8 could not be read at the other end.
std::string PlainText(std::string_view detail) {
  std::string text(detail);
  std::ranges::replace_if(
      text, [](char c) { return c < 0x20 || c >= 0x7f; }, '?');
  return text;
}

}  // namespace

grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  const matrix::Refusal& row = matrix::RefusalOf(matrix::ReasonOf(status));
  matrix::v1::Refusal refusal;
  refusal.set_reason(static_cast<matrix::v1::Reason>(row.reason));
  refusal.set_detail(PlainText(matrix::DetailOf(status)));
  return {static_cast<grpc::StatusCode>(row.between_services), refusal.detail(), refusal.SerializeAsString()};
}

absl::Status FromGrpc(const grpc::Status& status, Reason unreachable) {
  if (status.ok()) return absl::OkStatus();
  matrix::v1::Refusal refusal;
  const bool ours = !status.error_details().empty() && refusal.ParseFromString(status.error_details()) &&
                    refusal.reason() != matrix::v1::REASON_NONE;
  if (ours)
    return matrix::Refuse(matrix::ReasonFromNumber(static_cast<std::int32_t>(refusal.reason())), refusal.detail());
  return matrix::Refuse(ReasonOfTransport(status.error_code(), unreachable), status.error_message());
}

}  // namespace postern::rpc
