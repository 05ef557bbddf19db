// What a store has to keep to about states that other servers told.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "postern/store/v1/fetched_state.grpc.pb.h"
#include "tests/contract/store_contract.h"

namespace postern::contract {

class FetchedStatesContract : public StoreContract {
 protected:
  void SetUp() override;

  store::v1::FindUnknownEventsResponse Unknown(const support::TestRoom& room, const std::vector<std::string>& ids);
  store::v1::KeepFetchedStateResponse::Result Keep(const store::v1::KeepFetchedStateRequest& request);
  /// The room's current state with an event in the place of what has its key, as d.example tells it to lie before
  /// `event`; that event as an outlier.
  store::v1::KeepFetchedStateRequest StateWith(const support::TestRoom& room, const matrix::Event& event,
                                               const matrix::Event& outlier);

  std::unique_ptr<store::v1::FetchedStates::Stub> fetched_states_;
};

}  // namespace postern::contract
