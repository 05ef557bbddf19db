// What any implementation of postern.store.v1.ReceivedInvites has to keep to, checked over gRPC.
#pragma once

#include <string>
#include <vector>

#include "postern/store/v1/received_invites.grpc.pb.h"
#include "tests/contract/store_contract.h"

namespace postern::contract {

class ReceivedInvitesContract : public testing::TestWithParam<StoreMaker> {
 protected:
  using Stub = store::v1::ReceivedInvites::Stub;
  void SetUp() override;

  /// Of @bob:a.example, by @ann of `origin`.
  static store::v1::ReceivedInvite Invite(const std::string& room, const std::string& event_id = "$1",
                                          const std::string& origin = "b.example",
                                          const std::string& user = "@bob:a.example");
  store::v1::KeepInviteResponse Keep(const store::v1::ReceivedInvite& invite);
  /// "room event state", of those that meet `of`.
  std::vector<std::string> List(const store::v1::InviteConditions& of = {}, bool settled = true);
  store::v1::ReceivedInvite Get(const std::string& room);
  /// Their rooms.
  std::vector<std::string> Reject(const store::v1::InviteConditions& of, bool all = false,
                                  const std::vector<std::string>& via = {});
  bool Withdraw(const store::v1::ReceivedInvite& invite, const std::string& sender);
  /// Their rooms.
  std::vector<std::string> Lease(const std::string& holder, std::uint32_t milliseconds = 60'000,
                                 const std::vector<std::string>& busy = {}, std::uint32_t most = 100);
  bool Report(const std::string& room, const std::string& holder, store::v1::ReportInviteLeaveRequest::Outcome outcome,
              absl::Duration later = absl::Hours(1));

  template <typename Request, typename Response>
  grpc::Status Call(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                    const Request& request, Response& response) {
    grpc::ClientContext context;
    context.set_wait_for_ready(true);
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    return (stub_.get()->*method)(&context, request, &response);
  }

  std::unique_ptr<ServedStore> served_;
  std::unique_ptr<Stub> stub_;
};

}  // namespace postern::contract
