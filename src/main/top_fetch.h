#pragma once

// The requests of `top` to a running proxy, over its control socket.

#include <string>

#include "core/error.h"
#include "core/top/top.h"

namespace sni {

// Blocks until the proxy answers (net/control/control_client.h).
Result<TopSample> top_fetch(const std::string& socket, TopView view);
// Returns the result in words.
std::string top_kill(const std::string& socket, const TopKill& kill);

}  // namespace sni
