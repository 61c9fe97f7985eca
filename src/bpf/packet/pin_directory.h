#pragma once

// A directory on a BPF file system that keeps links and maps alive while no process holds them:
//
//   /sys/fs/bpf/sni-proxy/       locked by the process that uses it; what else is in it stays
//   /sys/fs/bpf/sni-proxy/v3/    what layout version 3 of the maps has pinned
//
// The kernel deletes nothing there, and a reboot everything. The next process of the same version
// takes over what it finds; one of another version is refused, because it would misread the maps.

#include <optional>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/unique_fd.h"

namespace sni {

class PinDirectory {
 public:
  // Makes the directories where they are missing (the parent must be there) and locks them. The
  // error names the cause: no BPF file system, a process that uses it, pins of another version.
  static Result<PinDirectory> open(const std::string& path, unsigned version);

  // nullopt: nothing of this name is pinned.
  std::optional<UniqueFd> get(const std::string& name) const;
  // Refused with EEXIST where the name is taken.
  Result<void> pin(int object_fd, const std::string& name) const;
  void remove(const std::string& name) const;
  std::vector<std::string> names() const;
  // Removes all pins and the directory of the version: what nobody else holds then ends.
  void clear() const;

  const std::string& path() const { return versioned_; }

 private:
  std::string versioned_;
  UniqueFd lock_;
};

}  // namespace sni
