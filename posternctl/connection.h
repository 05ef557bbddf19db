// The gateway's admin service, the store and a validator, as the commands reach them.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "grpcpp/client_context.h"
#include "grpcpp/support/status.h"
#include "postern/gateway/v1/admin.grpc.pb.h"
#include "postern/store/v1/store.grpc.pb.h"
#include "postern/validator/v1/validator.grpc.pb.h"
#include "posternctl/commands.h"

namespace postern::posternctl {

/// INVALID_ARGUMENT without a Reason where the address is not loopback and nothing says how to trust it.
absl::StatusOr<std::unique_ptr<gateway::v1::Admin::Stub>> OpenGateway(const GlobalOptions& global);
absl::StatusOr<std::unique_ptr<store::v1::Store::Stub>> OpenStore(const GlobalOptions& global);
absl::StatusOr<std::unique_ptr<validator::v1::Validator::Stub>> OpenValidator(const GlobalOptions& global);

/// For services beside those.
absl::StatusOr<std::shared_ptr<grpc::Channel>> OpenGatewayChannel(const GlobalOptions& global);
absl::StatusOr<std::shared_ptr<grpc::Channel>> OpenStoreChannel(const GlobalOptions& global);

/// Sets the deadline and starts a trace.
void Prepare(const GlobalOptions& global, grpc::ClientContext& context);

/// A failed call; where nobody answered, `peer` is named.
absl::Status FailedCall(const grpc::Status& status, const std::string& peer);

/// What a call of the gateway carries beside that: the operator's token. It goes to no other service.
absl::Status AddToken(const GlobalOptions& global, grpc::ClientContext& context);

/// One unary call in a context that is prepared: `method` is a pointer to the stub's member.
template <typename Stub, typename Request, typename Response>
absl::StatusOr<Response> CallIn(grpc::ClientContext& context, const std::string& peer, Stub& stub,
                                grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                                const Request& request) {
  Response response;
  const grpc::Status status = (stub.*method)(&context, request, &response);
  if (!status.ok()) return FailedCall(status, peer);
  return response;
}

template <typename Stub, typename Request, typename Response>
absl::StatusOr<Response> Call(const GlobalOptions& global, const std::string& peer, Stub& stub,
                              grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                              const Request& request) {
  grpc::ClientContext context;
  Prepare(global, context);
  return CallIn(context, peer, stub, method, request);
}

/// The same of a service of the gateway's.
template <typename Stub, typename Request, typename Response>
absl::StatusOr<Response> CallOfGateway(const GlobalOptions& global, Stub& stub,
                                       grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                                       const Request& request) {
  grpc::ClientContext context;
  Prepare(global, context);
  if (absl::Status status = AddToken(global, context); !status.ok()) return status;
  return CallIn(context, "gateway at " + global.gateway, stub, method, request);
}

/// Opens the channel and calls.
template <typename Request, typename Response>
absl::StatusOr<Response> CallGateway(const GlobalOptions& global,
                                     grpc::Status (gateway::v1::Admin::Stub::*method)(grpc::ClientContext*,
                                                                                      const Request&, Response*),
                                     const Request& request) {
  const auto stub = OpenGateway(global);
  if (!stub.ok()) return stub.status();
  return CallOfGateway(global, **stub, method, request);
}

template <typename Request, typename Response>
absl::StatusOr<Response> CallStore(const GlobalOptions& global,
                                   grpc::Status (store::v1::Store::Stub::*method)(grpc::ClientContext*, const Request&,
                                                                                  Response*),
                                   const Request& request) {
  const auto stub = OpenStore(global);
  if (!stub.ok()) return stub.status();
  return Call(global, "store at " + global.store, **stub, method, request);
}

template <typename Request, typename Response>
absl::StatusOr<Response> CallValidator(const GlobalOptions& global,
                                       grpc::Status (validator::v1::Validator::Stub::*method)(grpc::ClientContext*,
                                                                                              const Request&,
                                                                                              Response*),
                                       const Request& request) {
  const auto stub = OpenValidator(global);
  if (!stub.ok()) return stub.status();
  return Call(global, "validator at " + global.validator, **stub, method, request);
}

}  // namespace postern::posternctl
