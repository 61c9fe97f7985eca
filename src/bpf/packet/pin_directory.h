#pragma once

// A directory on a BPF file system that keeps links and maps alive while no process holds them:
//
//   /sys/fs/bpf/sni-proxy/ locked by the process that uses it; other contents are left alone
//   /sys/fs/bpf/sni-proxy/v4/ pins of layout version 4 of the maps
//
// The kernel deletes nothing there until a reboot, which deletes everything. The next process of
// the same version takes the pins over. One of another version is refused, because it would misread
// the maps.

#include <optional>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/unique_fd.h"

namespace sni {

class PinDirectory {
 public:
  // Makes missing directories (the parent must exist) and locks them. The error names the cause: no
  // BPF file system, a process that uses it, or pins of another version.
  static Result<PinDirectory> open(const std::string& path, unsigned version);

  // nullopt: nothing of this name is pinned.
  std::optional<UniqueFd> get(const std::string& name) const;
  // Fails with EEXIST if the name is taken.
  Result<void> pin(int object_fd, const std::string& name) const;
  void remove(const std::string& name) const;
  std::vector<std::string> names() const;
  // Removes all pins and the directory of the version, which ends objects that nobody else holds.
  void clear() const;

  const std::string& path() const { return versioned_; }

 private:
  std::string versioned_;
  UniqueFd lock_;
};

}  // namespace sni
