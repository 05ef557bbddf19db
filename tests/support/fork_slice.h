// Cuts a fork out of whole states, as a store gives it: by the definition, with every event at hand.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "matrix/event.h"
#include "matrix/state_resolution.h"

namespace postern::support {

/// What to give beside the keys in which the states differ.
struct CutOptions {
  /// Keys that are told of each branch although they may not differ.
  std::set<matrix::StateKey> told = {};
  /// Keys that are told if all agree on them.
  std::set<matrix::StateKey> asked = {};
  /// Events whose auth chains are given with themselves.
  std::vector<std::string> cited = {};
};

struct ForkSlice {
  /// Told from the first state; the branches in the order of the states.
  matrix::ForkedState fork;
  /// The auth chains of everything told, and the entries themselves.
  std::set<std::string> events;
};

/// `events` holds the states' entries and their auth chains, of one room version.
ForkSlice CutFork(const std::vector<matrix::StateMap>& states, const matrix::ResolutionEvents& events,
                  const CutOptions& options = {});

/// The auth chains of `ids`, with these themselves where they are in `events`.
std::set<std::string> ChainsOf(const std::vector<std::string>& ids, const matrix::ResolutionEvents& events);

/// The events that an entry has in its auth chain which all states have, of none of `keys`.
std::set<std::string> ReachedByAgreed(const std::vector<matrix::StateMap>& states,
                                      const std::set<matrix::StateKey>& keys, const matrix::ResolutionEvents& events);

}  // namespace postern::support
