#pragma once

// Where the unified cgroup hierarchy can be opened. The sockops program is attached to its root, so
// that it sees the connections of all processes. Distributions mount cgroup v2 at /sys/fs/cgroup,
// or at /sys/fs/cgroup/unified beside v1, and `ip netns exec` remounts /sys with no cgroup at all.
// The mount table says where it is. If it is not mounted, we use a detached mount of our own, which
// ends with its descriptor.

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
