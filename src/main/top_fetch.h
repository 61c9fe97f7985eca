#pragma once

// What `top` asks a running proxy, over its control socket.

#include <string>

#include "core/error.h"
#include "core/top/top.h"

namespace sni {

// Waits for the answers of the proxy (net/control/control_client.h).
Result<TopSample> top_fetch(const std::string& socket, TopView view);
// What came of it, in words.
std::string top_kill(const std::string& socket, const TopKill& kill);

}  // namespace sni
