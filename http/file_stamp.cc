#include "http/file_stamp.h"

#include <sys/stat.h>

namespace postern::http {

FileStamp StampOf(const std::string& name) {
  struct stat found {};
  if (::stat(name.c_str(), &found) != 0) return {};
  return {found.st_mtim.tv_sec, found.st_mtim.tv_nsec, found.st_ino, found.st_size};
}

}  // namespace postern::http
