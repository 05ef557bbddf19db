// Whether a file is still the one that was read.
#pragma once

#include <cstdint>
#include <string>

namespace postern::http {

/// When it was written, and as which file: a replaced one may carry an old time.
struct FileStamp {
  std::int64_t seconds = 0;
  std::int64_t nanoseconds = 0;
  std::uint64_t inode = 0;
  std::int64_t size = -1;
  bool operator==(const FileStamp&) const = default;
};

/// Of the file that `name` leads to now. FileStamp{}: there is none, or none that can be seen.
FileStamp StampOf(const std::string& name);

}  // namespace postern::http
