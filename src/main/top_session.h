#pragma once

#include <chrono>
#include <string>

namespace sni {

// Runs `top` from the first sample to the end. Returns the exit status.
int run_top(const std::string& socket, std::chrono::milliseconds interval);

}  // namespace sni
