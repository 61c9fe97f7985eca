#pragma once

// Settings that a running proxy cannot change: they concern threads, programs and sockets that
// exist since its start.

#include <string>
#include <vector>

#include "core/config/config.h"

namespace sni {

// Fills in what the configuration leaves to the machine: server.workers = 0, and fast_path.mode =
// "auto" where the limit of open files has no room for a kernel plane. To be called both at the start
// and at a reload, so that the results can be compared.
void settle(Config& config);

// Copies the fixed values of `running` to `next`. Returns the keys that would have changed.
std::vector<std::string> keep_fixed(const Config& running, Config& next);

}  // namespace sni
