#include "tests/support/served_fake_store.h"

#include <fmt/format.h>

#include <utility>

#include "absl/time/clock.h"

namespace postern::support {

ServedFakeStore::ServedFakeStore(std::string server_name, std::vector<grpc::Service*> beside)
    : store_(std::move(server_name)) {
  beside.push_back(&service_);
  beside.push_back(&invites_service_);
  host_ = *rpc::ServerHost::Start({.listen = "127.0.0.1:0", .security = {.plaintext = true}}, beside);
}

ServedFakeStore::~ServedFakeStore() {
  host_->Shutdown(absl::Now() + absl::Seconds(5));
  // What a worker still does after its answer rests on everything else here. gRPC orders the two, but the thread
  // sanitizer does not see that.
  workers_.Drain();
}

std::string ServedFakeStore::address() const { return fmt::format("127.0.0.1:{}", host_->port()); }

}  // namespace postern::support
