#pragma once

// What a run leaves in places that outlive it, network namespaces and a directory, carries the pid
// and start time of the bench in its name. So what belongs to a run that is dead (SIGKILL, a crash)
// can be told from what another one is using, and the next run removes it.

#include <string>

namespace sni::bench {

// "sni-bench-<pid>-<start time>-"
std::string run_prefix();

// Namespaces, where we may, and directories of our own under the system's temporary one.
void remove_leftovers();

}  // namespace sni::bench
