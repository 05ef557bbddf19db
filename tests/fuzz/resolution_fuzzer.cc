// Any bytes as the choices by which a room of some version grows, forks and is resolved: state resolution keeps its
// promises on every graph, within its budget.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "matrix/room_rules.h"
#include "tests/fuzz/require.h"
#include "tests/support/choices.h"
#include "tests/support/grown_room.h"
#include "tests/support/resolution_promises.h"

namespace {

using namespace postern;

constexpr std::size_t kHead = 12;  // which version, which states, which smaller budget
constexpr std::size_t kMostEvents = 40;
constexpr std::size_t kMostOfASmallerBudget = 4000;

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < kHead) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  support::Choices head(bytes.substr(0, kHead));
  support::Choices growth(bytes.substr(kHead));
  const auto& rules = head.OneOf(matrix::AllRoomRules());
  const support::GrownRoom room(rules.version, growth, kMostEvents);
  const std::size_t budget = head.Below(kMostOfASmallerBudget);
  const std::string broken = support::BrokenPromise(room.SomeStates(head), room.known(), room.rules(), budget);
  fuzz::Require(broken.empty(), broken.c_str());
  return 0;
}
