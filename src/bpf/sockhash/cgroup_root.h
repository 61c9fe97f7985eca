#pragma once

// Where the unified cgroup hierarchy can be opened. The sockops program is attached to its root, so
// that it sees connections of every process below it. Distributions mount cgroup v2 at
// /sys/fs/cgroup, or at /sys/fs/cgroup/unified beside v1, and `ip netns exec` remounts /sys with no
// cgroup at all; the mount table says which, and where it has none, a mount of our own does that
// appears in no directory and ends with its descriptor.

#include <optional>
#include <string>
#include <string_view>

#include "core/error.h"
#include "core/unique_fd.h"

namespace sni {

// The mount point of a cgroup2 file system in the text of /proc/self/mountinfo (proc(5)).
std::optional<std::string> find_cgroup2(std::string_view mountinfo);

struct CgroupRoot {
  UniqueFd directory;
  std::string where;  // For the log.
};

Result<CgroupRoot> open_cgroup_root();

}  // namespace sni
