#pragma once

// Things of a run that may outlive it, network namespaces and a directory, have the pid and start
// time of the bench in their names. So those of a dead run (SIGKILL, a crash) can be distinguished
// from those in use, and the next run removes them.

#include <string>

namespace sni::bench {

// "sni-bench-<pid>-<start time>-"
std::string run_prefix();

// Removes namespaces, if permitted, and our directories under the system's temporary one.
void remove_leftovers();

}  // namespace sni::bench
