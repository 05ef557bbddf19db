#include "tests/flow/room_operator.h"

#include <fmt/format.h>
#include <grpcpp/grpcpp.h>

#include <chrono>

#include "tests/flow/must.h"

namespace postern::flow {
namespace {

using gateway::v1::Admin;

constexpr std::chrono::seconds kPatience(600);  // a hundred thousand members are seeded

template <typename Request, typename Response>
Response Call(Admin::Stub& admin, grpc::Status (Admin::Stub::*method)(grpc::ClientContext*, const Request&, Response*),
              const Request& request) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kPatience);
  Response response;
  const grpc::Status status = (admin.*method)(&context, request, &response);
  Must(fmt::format("the operator's call ({})", status.error_message()), status.ok());
  return response;
}

}  // namespace

RoomOperator::RoomOperator(const RunningStack& stack)
    : boss_("@boss:" + stack.server_name()),
      admin_(Admin::NewStub(grpc::CreateChannel(stack.gateway().grpc, grpc::InsecureChannelCredentials()))) {}

NewRoom RoomOperator::CreateRoom(std::string_view version, std::string_view create_content) const {
  gateway::v1::CreateRoomRequest request;
  request.set_room_version(std::string(version));
  request.set_creator(boss_);
  request.set_join_rule("public");
  auto* create = request.add_state();
  create->set_type("m.room.create");
  create->set_content_json(std::string(create_content));
  const auto response = Call(*admin_, &Admin::Stub::CreateRoom, request);
  NewRoom room{.room_id = response.room_id(), .event_ids = {}};
  for (const auto& event : response.events()) room.event_ids[event.type()] = event.event_id();
  return room;
}

std::string RoomOperator::Invite(const std::string& room_id, const std::string& user_id) const {
  gateway::v1::InviteRequest request;
  request.set_room_id(room_id);
  request.set_user_id(user_id);
  return Call(*admin_, &Admin::Stub::Invite, request).event_id();
}

void RoomOperator::Ban(const std::string& room_id, const std::string& user_id) const {
  gateway::v1::BanRequest request;
  request.set_room_id(room_id);
  request.set_user_id(user_id);
  Call(*admin_, &Admin::Stub::Ban, request);
}

void RoomOperator::SetState(const std::string& room_id, std::string_view type, std::string_view content) const {
  gateway::v1::SendStateRequest request;
  request.set_room_id(room_id);
  request.mutable_event()->set_type(std::string(type));
  request.mutable_event()->set_content_json(std::string(content));
  Call(*admin_, &Admin::Stub::SendState, request);
}

SeededRoom RoomOperator::Seed(std::string_view version, const std::string& remote, std::string_view membership,
                              int users, const std::vector<std::string>& others) const {
  gateway::v1::SeedRequest request;
  request.set_rooms(1);
  request.set_users_per_room(users);
  request.set_user_prefix("u");
  request.set_remote(remote);
  request.set_room_version(std::string(version));
  request.set_membership(std::string(membership));
  request.mutable_others()->Add(others.begin(), others.end());
  const auto response = Call(*admin_, &Admin::Stub::Seed, request);
  Must("one seeded room", response.rooms_size() == 1);
  return {response.rooms(0).room_id(), {response.rooms(0).users().begin(), response.rooms(0).users().end()}};
}

}  // namespace postern::flow
