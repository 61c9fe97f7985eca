#pragma once

// What a running proxy cannot change: threads, programs and sockets that stand
// since its start.

#include <string>
#include <vector>

#include "core/config/config.h"

namespace sni {

// Puts numbers where the configuration leaves them to the machine
// (server.workers = 0). To be done at a start and at a reload alike, so that
// both can be compared.
void settle(Config& config);

// Gives `next` the values of `running` that hold until the next start. Returns
// the keys that would have changed.
std::vector<std::string> keep_fixed(const Config& running, Config& next);

}  // namespace sni
