#pragma once

// How many CPUs this process may use: those of its affinity mask, but no more than its cgroup's
// quota. Otherwise a container with a quota of two CPUs on a machine of 64 would start 64 workers
// that throttle each other.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sni {

// At least 1. A quota of 1.5 CPUs gives 2.
unsigned usable_cpus();

// The CPUs of the affinity mask by number, ascending. Empty: unknown.
std::vector<int> allowed_cpus();
// One of these CPUs for each worker, in turn; empty: unknown.
std::vector<int> cpus_of_workers(unsigned workers);

// CPUs of a quota, rounded up; nullopt: there is none, or the text cannot be parsed. "150000
// 100000" or "max 100000", microseconds (cpu.max of cgroup v2).
std::optional<unsigned> cpus_of_cpu_max(std::string_view text);
// cpu.cfs_quota_us and cpu.cfs_period_us of cgroup v1; a quota of -1 is none.
std::optional<unsigned> cpus_of_cfs(std::string_view quota, std::string_view period);

// The path of a controller's cgroup in the text of /proc/self/cgroup; `controller` empty: the
// unified hierarchy ("0::/a/b" gives "/a/b"). nullopt: it is missing.
std::optional<std::string> cgroup_path(std::string_view proc_self_cgroup,
                                       std::string_view controller);

// Where a hierarchy is mounted, from the text of /proc/self/mountinfo (proc_pid_mountinfo(5)), and
// which of its directories is mounted there.
struct CgroupMount {
  std::string point;  // "/sys/fs/cgroup"
  std::string root;   // "/", or a container's own cgroup.
};
// `controller` empty: cgroup2.
std::optional<CgroupMount> cgroup_mount(std::string_view proc_self_mountinfo,
                                        std::string_view controller);

}  // namespace sni
