// Lets those call a server who may: by the names in the caller's certificate, and by a token. It looks at every call
// before any service does, at those to health and reflection too.
#pragma once

#include <grpcpp/security/auth_metadata_processor.h>

#include <map>
#include <mutex>

#include "absl/time/time.h"
#include "rpc/transport_security.h"
#include "telemetry/metrics.h"

namespace postern::rpc {

/// Thread-safe. A refused call ends with PERMISSION_DENIED (a peer) or UNAUTHENTICATED (a token), is counted, and
/// logged unless another one was in the last second.
class CallAdmission : public grpc::AuthMetadataProcessor {
 public:
  /// `metrics` may be null, and else outlives the server.
  CallAdmission(Admission admission, telemetry::Metrics* metrics);

  /// Reading a file may block.
  bool IsBlocking() const override { return !admission_.token_file.empty(); }
  grpc::Status Process(const InputMetadata& metadata, grpc::AuthContext* context, OutputMetadata* consumed,
                       OutputMetadata* answered) override;

 private:
  grpc::Status Refuse(const InputMetadata& metadata, const grpc::AuthContext& context, bool by_peer);

  const Admission admission_;
  telemetry::Metrics* const metrics_;
  std::mutex mutex_;
  absl::Time last_logged_ = absl::InfinitePast();
};

}  // namespace postern::rpc
