// What any implementation of postern.store.v1.Store has to keep to, checked over gRPC. Instantiate it with a way to
// bring one up, empty, whose server name is a.example and which allows seeding.
#pragma once

#include <grpcpp/client_context.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "absl/time/time.h"
#include "matrix/refusal.h"
#include "postern/store/v1/store.grpc.pb.h"
#include "postern/store/v1/store_together.grpc.pb.h"
#include "rpc/status_codec.h"
#include "tests/contract/in_company.h"
#include "tests/support/room_builder.h"

namespace postern::contract {

/// A store that serves until this goes.
class ServedStore {
 public:
  virtual ~ServedStore() = default;
  virtual std::string address() const = 0;
};

struct StoreMaker {
  std::string name;
  std::unique_ptr<ServedStore> (*start)();
  /// Contexts are asked for, and events persisted, in messages with other calls.
  bool in_company = false;
};

class StoreContract : public testing::TestWithParam<StoreMaker> {
 protected:
  void SetUp() override;

  /// A room in the store; version 10, with @ann:b.example invited, @bob:c.example and @cat:d.example joined, unless
  /// given.
  support::TestRoom MakeRoom(std::string_view version = "10");
  void Create(const support::TestRoom& room);

  store::v1::EventContext ContextOf(const matrix::Event& event);
  store::v1::PersistEventResponse Persist(const store::v1::PersistEventRequest& request);
  /// Events of the room's creator, in this order in one message, on what the room is now.
  std::vector<store::v1::PersistEventResponse> PersistTogether(const support::TestRoom& room,
                                                               const std::vector<const matrix::Event*>& events);
  /// Reads the context and persists.
  store::v1::PersistEventResponse Judge(const matrix::Event& event,
                                        matrix::v1::Outcome outcome = matrix::v1::OUTCOME_ACCEPTED);
  /// The same, accepted with a verdict that does not commute.
  store::v1::PersistEventResponse JudgeAlone(const matrix::Event& event);
  store::v1::RoomDescription Room(const support::TestRoom& room);
  /// "" where there is none.
  std::string MembershipOf(const support::TestRoom& room, const std::string& user);
  store::v1::ListOutboxResponse Outbox(const support::TestRoom& room);

  template <typename Request, typename Response>
  grpc::Status Call(grpc::Status (store::v1::Store::Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                    const Request& request, Response& response);

  std::unique_ptr<ServedStore> served_;
  std::unique_ptr<store::v1::Store::Stub> stub_;
  std::unique_ptr<store::v1::StoreTogether::Stub> together_;
};

/// What it has to keep to about decisions, and about the graph.
class DecisionsContract : public StoreContract {
 protected:
  /// Every page, one after the other.
  std::vector<store::v1::Decision> Decisions(store::v1::ListDecisionsRequest request = {});
  grpc::Status ContextOfDecision(const matrix::Event& event, bool refused, store::v1::DecisionContext& context);
  store::v1::Neighbourhood Around(const support::TestRoom& room, const std::vector<std::string>& ids, unsigned hops);
};

/// What it has to keep to about telling other servers.
class DeliveriesContract : public StoreContract {
 protected:
  /// @ann of b.example and two of c.example are joined, and one of d.example.
  support::TestRoom MakeRoomOfFour();
  std::vector<store::v1::OutboundTransaction> Lease(const std::string& holder, std::uint32_t milliseconds = 60'000,
                                                    const std::vector<std::string>& busy = {}, std::uint32_t most = 100,
                                                    std::uint32_t most_of_failing = 100);
  /// The one for d.example among those leased.
  std::optional<store::v1::OutboundTransaction> LeaseFar(const std::string& holder = "one");
  /// Returns how many PDUs were parked.
  std::uint32_t Report(const store::v1::OutboundTransaction& transaction, store::v1::DeliveryReport::Outcome outcome,
                       absl::Duration later = absl::ZeroDuration(), const std::string& error = "");
  store::v1::Destination StandingOf(const std::string& name);
};

/// What it has to keep to about what gateways have of origins.
class RatesContract : public StoreContract {
 protected:
  /// Tells of one origin, or of none; what is said of all others, as "origin requests/waiting/working".
  std::vector<std::string> Share(const std::string& holder, const std::vector<std::string>& origins,
                                 std::int64_t requests = 0, std::int64_t waiting = 0, std::int64_t working = 0,
                                 std::uint32_t milliseconds = 60'000);
};

/// What it has to keep to about reads for other servers.
class PeerReadsContract : public StoreContract {
 protected:
  store::v1::EventForPeer Ask(const support::TestRoom& room, const matrix::Event& event, const std::string& asker);
  /// Ids, as d.example is told them.
  std::vector<std::string> Missing(const support::TestRoom& room, const std::vector<std::string>& latest,
                                   const std::vector<std::string>& earliest = {}, std::uint32_t limit = 20,
                                   std::int64_t min_depth = 0);
};

/// What it has to keep to about what a server is told whose user has just joined.
class JoinReadsContract : public StoreContract {
 protected:
  store::v1::GetStatePageResponse Page(const support::TestRoom& room, const matrix::Event& event,
                                       bool without_members = false, const matrix::v1::StateKey* place = nullptr);
  /// Ids, of all pages.
  std::vector<std::string> StateBefore(const support::TestRoom& room, const matrix::Event& event,
                                       bool without_members = false);
};

/// What it has to keep to about what other servers send, and look up by name.
class InboundContract : public StoreContract {
 protected:
  /// "" where none is kept.
  std::string AnswerTo(const std::string& origin, const std::string& transaction_id);
  /// Returns the answer that is kept.
  std::string Keep(const std::string& origin, const std::string& transaction_id, const std::string& answer);
  /// Ids, as d.example is told them.
  std::vector<std::string> Backfill(const support::TestRoom& room, const std::vector<std::string>& from,
                                    std::uint32_t limit = 100);
  matrix::Reason SetAlias(const std::string& alias, const std::string& room_id);
  std::vector<std::string> Aliases(const std::string& room_id = "");
};

/// kNone, or what the status says.
inline matrix::Reason ReasonOf(const grpc::Status& status) {
  return matrix::ReasonOf(rpc::FromGrpc(status, matrix::Reason::kStoreDown));
}

template <typename Range>
std::vector<std::string> IdsOf(const Range& entries) {
  std::vector<std::string> ids;
  for (const auto& entry : entries) ids.push_back(entry.event_id());
  return ids;
}

template <typename Request, typename Response>
grpc::Status StoreContract::Call(grpc::Status (store::v1::Store::Stub::*method)(grpc::ClientContext*, const Request&,
                                                                                Response*),
                                 const Request& request, Response& response) {
  using Together = store::v1::StoreTogether::Stub;
  grpc::Status together(grpc::StatusCode::UNIMPLEMENTED, "alone");
  if (GetParam().in_company) {
    if constexpr (std::is_same_v<Request, store::v1::GetEventContextRequest>) {
      together = CallInCompany(*together_, &Together::GetEventContext, request, response);
    } else if constexpr (std::is_same_v<Request, store::v1::PersistEventRequest>) {
      together = CallInCompany(*together_, &Together::PersistEvent, request, response);
    }
  }
  if (together.error_code() != grpc::StatusCode::UNIMPLEMENTED) return together;
  grpc::ClientContext context;
  context.set_wait_for_ready(true);
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  return (stub_.get()->*method)(&context, request, &response);
}

}  // namespace postern::contract
