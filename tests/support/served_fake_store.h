// A fake store behind gRPC, as the gateway and posternctl see it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "rpc/server_host.h"
#include "rpc/worker_pool.h"
#include "services/store/fetched_state_service.h"
#include "services/store/received_invites_service.h"
#include "services/store/store_service.h"
#include "services/store/store_together_service.h"
#include "telemetry/metrics.h"
#include "tests/support/fake_received_invites.h"
#include "tests/support/fake_store.h"

namespace postern::support {

/// Serves on a free port of 127.0.0.1 from construction to destruction; allows seeding.
class ServedFakeStore {
 public:
  /// `beside` is served there too; owned elsewhere, and outlives this.
  explicit ServedFakeStore(std::string server_name, std::vector<grpc::Service*> beside = {});
  ~ServedFakeStore();

  FakeStore& store() { return store_; }
  FakeReceivedInvites& invites() { return invites_; }
  rpc::ServerHost& host() { return *host_; }
  /// "127.0.0.1:12345"
  std::string address() const;

 private:
  FakeStore store_;
  FakeReceivedInvites invites_;
  telemetry::Metrics metrics_;
  rpc::WorkerPool workers_{4, 256};
  store::StoreService service_{store_, workers_, metrics_, {.allow_seeding = true}};
  store::StoreTogetherService together_{service_};
  store::ReceivedInvitesService invites_service_{invites_, workers_, metrics_};
  store::FetchedStateService fetched_states_{store_, workers_, metrics_};
  std::unique_ptr<rpc::ServerHost> host_;
};

}  // namespace postern::support
