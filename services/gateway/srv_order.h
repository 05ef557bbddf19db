// In which order the targets of SRV records are tried (RFC 2782).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace postern::gateway {

struct SrvRecord {
  std::uint16_t priority = 0;
  std::uint16_t weight = 0;
  std::uint16_t port = 0;
  std::string target{};

  bool operator==(const SrvRecord&) const = default;
};

/// A number from 0 to `most`, each as likely. Must be callable from several threads at once.
using Chance = std::function<std::uint32_t(std::uint32_t most)>;

/// Chance from the system's random source.
Chance FairChance();

/// Lower priorities first; among equals the next is drawn, each with a chance in proportion to its weight. One of
/// weight 0 comes before others by the smallest chance only.
std::vector<SrvRecord> InOrderOfTrial(std::vector<SrvRecord> records, const Chance& chance);

}  // namespace postern::gateway
