#pragma once

// `sni-proxy bench` is a program of its own, so that the proxy carries no laboratory: it becomes
// sni-proxy-bench, which stands beside it.

#include <string>
#include <vector>

namespace sni {

// Does not return where the program could be executed; otherwise says why not and gives the exit
// status.
int become_bench(const std::vector<std::string>& arguments);

}  // namespace sni
