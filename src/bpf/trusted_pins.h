#pragma once

// What lies in a directory of a BPF file system is believed, so nobody else may have put it there.

#include <sys/stat.h>
#include <unistd.h>

namespace sni {

inline constexpr const char* foreign_pins = " belongs to another user, or others may write to it";

// Whether only we and root can have put there what is there.
inline bool is_trusted(const struct stat& status) {
  return (status.st_uid == ::geteuid() || status.st_uid == 0) &&
         (status.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

}  // namespace sni
