// Globs of server names (client-server API, "m.room.server_acl"): `*` is any characters or none, `?` is one.
#pragma once

#include <array>
#include <bitset>
#include <cstddef>
#include <string_view>

namespace postern::matrix {

/// A server name, without its port, for globs to be held against: whole, without case. One glob takes time linear in
/// its length, whatever is in it.
class GlobbedName {
 public:
  /// At most 255 bytes, as server names are.
  explicit GlobbedName(std::string_view name);

  bool Matches(std::string_view glob) const;

  /// One glob on its way: how much of the name what has been taken of it matches. All ways are followed at once, one
  /// bit each, so that nothing is ever tried again (pitfall R05).
  class Way {
   public:
    explicit Way(const GlobbedName& name);
    /// The next character of the glob, each in the same time.
    void Take(char c);
    /// Nothing that may follow makes it match.
    bool Lost() const { return reached_.none(); }
    /// What has been taken matches the whole name.
    bool Whole() const { return reached_[name_.length_]; }

   private:
    const GlobbedName& name_;
    std::bitset<256> reached_;  // by how many characters of the name have been matched
  };

 private:
  static constexpr std::size_t kAscii = 128;

  std::size_t length_;
  std::bitset<256> within_;                     // all places in the name
  std::array<std::bitset<256>, kAscii> where_;  // each character's, in lower case
};

}  // namespace postern::matrix
