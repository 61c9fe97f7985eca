#pragma once

// `sni-proxy bench` is a separate program, so that the proxy's binary has no benchmark code. This
// executes sni-proxy-bench, which is in the same directory.

#include <string>
#include <vector>

namespace sni {

// Does not return if the program could be executed; otherwise prints why not and returns the exit
// status.
int become_bench(const std::vector<std::string>& arguments);

}  // namespace sni
