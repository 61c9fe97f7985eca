#pragma once

// Pins in a directory of a BPF file system are trusted, so nobody else may have created them.

#include <sys/stat.h>
#include <unistd.h>

namespace sni {

inline constexpr const char* foreign_pins = " belongs to another user, or others may write to it";

// Whether only we or root can have created its contents.
inline bool is_trusted(const struct stat& status) {
  return (status.st_uid == ::geteuid() || status.st_uid == 0) &&
         (status.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

}  // namespace sni
