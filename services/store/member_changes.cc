#include "services/store/member_changes.h"

#include "matrix/identifiers.h"

namespace postern::store {

void MemberChanges::Add(const std::string& user_id, const std::string& event_id, const MembershipColumns& columns) {
  users_.push_back(user_id);
  servers_.emplace_back(matrix::DomainOf(user_id));
  events_.emplace_back(event_id);
  memberships_.emplace_back(columns.membership);
  reasons_.push_back(columns.reason);
  displaynames_.push_back(columns.displayname);
  avatars_.push_back(columns.avatar_url);
  inviters_.push_back(columns.invited_by);
  third_party_.push_back(columns.third_party_invite);
  authorisers_.push_back(columns.join_authorised_via_users_server);
}

void MemberChanges::Remove(const std::string& user_id) {
  users_.push_back(user_id);
  servers_.emplace_back(matrix::DomainOf(user_id));
  for (auto* column :
       {&events_, &memberships_, &reasons_, &displaynames_, &avatars_, &inviters_, &third_party_, &authorisers_}) {
    column->emplace_back();
  }
}

void MemberChanges::Add(const MemberChanges& others) {
  const auto append = [&others, this](auto column) {
    auto& own = this->*column;
    own.insert(own.end(), (others.*column).begin(), (others.*column).end());
  };
  append(&MemberChanges::users_);
  append(&MemberChanges::servers_);
  for (const auto column : {&MemberChanges::events_, &MemberChanges::memberships_, &MemberChanges::reasons_,
                            &MemberChanges::displaynames_, &MemberChanges::avatars_, &MemberChanges::inviters_,
                            &MemberChanges::third_party_, &MemberChanges::authorisers_}) {
    append(column);
  }
}

void MemberChanges::AppendTo(Parameters& parameters) const {
  parameters.BytesArray(users_)
      .BytesArray(servers_)
      .BytesArray(events_)
      .WordArray(memberships_)
      .BytesArray(reasons_)
      .BytesArray(displaynames_)
      .BytesArray(avatars_)
      .BytesArray(inviters_)
      .BytesArray(third_party_)
      .BytesArray(authorisers_);
}

}  // namespace postern::store
