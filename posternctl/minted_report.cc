#include "posternctl/minted_report.h"

#include <iostream>

#include "posternctl/report.h"

namespace postern::posternctl {

matrix::JsonObject MintedJson(const gateway::v1::Minted& minted) {
  matrix::JsonObject event;
  event.Set("event_id", minted.event_id());
  event.Set("type", minted.type());
  event.Set("state_key", minted.state_key());
  return event;
}

int PrintMinted(const GlobalOptions& global, const absl::StatusOr<gateway::v1::Minted>& minted) {
  if (!minted.ok()) return Fail(minted.status());
  if (global.json) {
    PrintJson(MintedJson(*minted));
  } else {
    std::cout << Printable(minted->event_id()) << '\n';
  }
  return kExitOk;
}

}  // namespace postern::posternctl
