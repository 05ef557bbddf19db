#include "matrix/server_glob.h"

#include <algorithm>

namespace postern::matrix {
namespace {

unsigned char Lower(char c) { return static_cast<unsigned char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c); }

/// All from the first on.
std::bitset<256> FromFirst(std::bitset<256> set) {
  for (const std::size_t by : {1U, 2U, 4U, 8U, 16U, 32U, 64U, 128U}) set |= set << by;
  return set;
}

}  // namespace

GlobbedName::GlobbedName(std::string_view name) : length_(std::min<std::size_t>(name.size(), 255)) {
  for (std::size_t i = 0; i < length_; ++i) {
    within_.set(i);
    if (Lower(name[i]) < kAscii) where_[Lower(name[i])].set(i);
  }
}

GlobbedName::Way::Way(const GlobbedName& name) : name_(name) { reached_.set(0); }

void GlobbedName::Way::Take(char c) {
  if (c == '*') {
    reached_ = FromFirst(reached_);
  } else if (c == '?') {
    reached_ = (reached_ & name_.within_) << 1;
  } else {
    reached_ = Lower(c) < kAscii ? (reached_ & name_.where_[Lower(c)]) << 1 : std::bitset<256>();
  }
}

bool GlobbedName::Matches(std::string_view glob) const {
  Way way(*this);
  for (const char c : glob) {
    way.Take(c);
    if (way.Lost()) return false;
  }
  return way.Whole();
}

}  // namespace postern::matrix
