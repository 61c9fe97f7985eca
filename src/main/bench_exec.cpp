#include "main/bench_exec.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>

namespace sni {

int become_bench(const std::vector<std::string>& arguments) {
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) {
    std::fprintf(stderr, "sni-proxy: bench: cannot read /proc/self/exe: %s (is /proc mounted?)\n",
                 error.message().c_str());
    return 1;
  }
  std::string program = self.parent_path() / "sni-proxy-bench";
  std::vector<std::string> words = arguments;
  std::vector<char*> argv{program.data()};
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  ::execv(program.c_str(), argv.data());
  const int reason = errno;
  std::fprintf(stderr, "sni-proxy: bench: cannot execute %s: %s%s\n", program.c_str(),
               std::generic_category().message(reason).c_str(),
               reason == ENOENT ? " (it is built by './dev bench' or the target sni-proxy-bench, "
                                  "and installed beside sni-proxy)"
                                : "");
  return 1;
}

}  // namespace sni
