#include "bench/run_name.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string_view>
#include <vector>

#include "bench/process.h"

namespace sni::bench {
namespace {

constexpr std::string_view family = "sni-bench-";

// Start time of a process in clock ticks since boot; empty: there is no such process.
std::string start_time(const std::string& pid) {
  std::ifstream file("/proc/" + pid + "/stat");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const std::size_t name_end = text.rfind(')');  // The name may contain anything.
  if (name_end == std::string::npos) return {};
  std::istringstream fields(text.substr(name_end + 2));
  std::string field;
  for (int i = 3; i <= 22; ++i) fields >> field;  // Field 22 of proc(5).
  return field;
}

// Entries of a directory with the name of a dead run.
std::vector<std::filesystem::path> leftovers_in(const std::filesystem::path& directory) {
  std::vector<std::filesystem::path> found;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(directory, ignored)) {
    const std::string name = entry.path().filename();
    if (!name.starts_with(family)) continue;
    std::istringstream parts(name.substr(family.size()));
    std::string pid;
    std::string started;
    std::getline(parts, pid, '-');
    std::getline(parts, started, '-');
    // Digits alone: the name becomes part of a path below /proc.
    const bool ours = !pid.empty() && pid.find_first_not_of("0123456789") == std::string::npos;
    if (ours && !started.empty() && start_time(pid) != started) found.push_back(entry.path());
  }
  return found;
}

bool is_mine(const std::filesystem::path& path) {
  struct stat status{};
  return ::lstat(path.c_str(), &status) == 0 && status.st_uid == ::geteuid();
}

}  // namespace

std::string run_prefix() {
  const std::string pid = std::to_string(::getpid());
  return std::string(family) + pid + "-" + start_time(pid) + "-";
}

void remove_leftovers() {
  std::error_code ignored;
  for (const auto& directory : leftovers_in(std::filesystem::temp_directory_path(ignored))) {
    if (is_mine(directory)) std::filesystem::remove_all(directory, ignored);
  }
  const std::string ip = find_program("ip");
  if (ip.empty() || ::geteuid() != 0) return;
  for (const auto& netns : leftovers_in("/run/netns")) {
    (void)run_tool({ip, "netns", "del", netns.filename()});
  }
}

}  // namespace sni::bench
