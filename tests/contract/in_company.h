// Calls of the contract suites that go in one message with calls of others: whatever those are, a call is answered as
// if it had come alone.
#pragma once

#include <grpcpp/client_context.h>
#include <grpcpp/support/status.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <string>

#include "matrix/refusal.h"
#include "postern/rpc/v1/together.pb.h"
#include "rpc/status_codec.h"

namespace postern::contract {

/// Calls `method` of `stub` between a call that cannot be read and one that may say anything. `response` and the status
/// are those of `request`; UNIMPLEMENTED where it is sent back, to be called alone.
template <typename Stub, typename Request, typename Response>
grpc::Status CallInCompany(Stub& stub,
                           grpc::Status (Stub::*method)(grpc::ClientContext*, const rpc::v1::Calls&, rpc::v1::Answers*),
                           const Request& request, Response& response) {
  constexpr std::uint32_t kTimeoutMs = 20'000;
  constexpr int kPlace = 1;
  grpc::ClientContext context;
  context.set_wait_for_ready(true);
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(kTimeoutMs));
  rpc::v1::Calls calls;
  rpc::v1::Answers answers;
  for (const std::string& bytes : {std::string("\xff"), request.SerializeAsString(), Request().SerializeAsString()}) {
    rpc::v1::Call& call = *calls.add_calls();
    call.set_request(bytes);
    call.set_timeout_ms(kTimeoutMs);
  }
  const grpc::Status sent = (stub.*method)(&context, calls, &answers);
  if (!sent.ok()) return sent;
  EXPECT_EQ(answers.answers_size(), calls.calls_size());
  grpc::Status status(grpc::StatusCode::INTERNAL, "no answer");
  for (const rpc::v1::Answer& answer : answers.answers()) {
    EXPECT_TRUE(answer.place() != 0 || answer.has_refusal());
    if (answer.place() != kPlace) continue;
    if (answer.alone()) {
      status = {grpc::StatusCode::UNIMPLEMENTED, "alone"};
    } else if (answer.has_refusal()) {
      status = rpc::ToGrpc(rpc::FromGrpc({grpc::StatusCode::UNKNOWN, "", answer.refusal()}, matrix::Reason::kInternal));
    } else {
      EXPECT_TRUE(response.ParseFromString(answer.response()));
      status = grpc::Status::OK;
    }
  }
  return status;
}

}  // namespace postern::contract
