#pragma once

#include <chrono>
#include <string>

namespace sni {

// `top` from the first sample to the end; the exit status.
int run_top(const std::string& socket, std::chrono::milliseconds interval);

}  // namespace sni
