#include "net/server/cpu_count.h"

#include <sched.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <thread>
#include <vector>

#include "core/text_lines.h"

namespace sni {

namespace {

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::optional<std::int64_t> number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end == text.data()) return std::nullopt;
  return value;
}

bool names(std::string_view list, std::string_view wanted) {
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    if (list.substr(0, comma) == wanted) return true;
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return false;
}

unsigned by_affinity() {
  const auto cpus = allowed_cpus();
  return cpus.empty() ? std::thread::hardware_concurrency() : static_cast<unsigned>(cpus.size());
}

// The smallest quota of the cgroup and its ancestors, as far as they are visible.
std::optional<unsigned> by_quota(std::string_view controller) {
  const auto path = cgroup_path(text_of("/proc/self/cgroup"), controller);
  const auto mount = cgroup_mount(text_of("/proc/self/mountinfo"), controller);
  if (!path || !mount) return std::nullopt;
  std::string below = *path;
  if (mount->root != "/" && below.starts_with(mount->root)) below.erase(0, mount->root.size());
  std::optional<unsigned> least;
  for (;;) {
    const std::string directory = mount->point + below;
    const auto cpus = controller.empty() ? cpus_of_cpu_max(text_of(directory + "/cpu.max"))
                                         : cpus_of_cfs(text_of(directory + "/cpu.cfs_quota_us"),
                                                       text_of(directory + "/cpu.cfs_period_us"));
    if (cpus) least = std::min(*cpus, least.value_or(*cpus));
    const std::size_t slash = below.rfind('/');
    if (slash == std::string::npos) return least;
    below.erase(slash);
  }
}

std::optional<unsigned> cpus_of(std::int64_t quota, std::int64_t period) {
  if (quota <= 0 || period <= 0) return std::nullopt;
  constexpr std::int64_t most = 1 << 16;
  return static_cast<unsigned>(std::min(most, (quota - 1) / period + 1));
}

}  // namespace

std::vector<int> allowed_cpus() {
  // Machines with more CPUs than a cpu_set_t has bits answer EINVAL.
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> cpus;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  }
  return cpus;
}

std::vector<int> cpus_of_workers(unsigned workers) {
  const auto allowed = allowed_cpus();
  std::vector<int> cpus;
  for (unsigned worker = 0; worker < workers && !allowed.empty(); ++worker) {
    cpus.push_back(allowed[worker % allowed.size()]);
  }
  return cpus;
}

unsigned usable_cpus() {
  unsigned cpus = by_affinity();
  for (const char* controller : {"", "cpu"}) {
    if (const auto quota = by_quota(controller)) cpus = std::min(cpus, *quota);
  }
  return std::max(1U, cpus);
}

std::optional<unsigned> cpus_of_cpu_max(std::string_view text) {
  const auto quota = number(take_word(text));
  const auto period = number(take_word(text));
  if (!quota || !period) return std::nullopt;  // "max"
  return cpus_of(*quota, *period);
}

std::optional<unsigned> cpus_of_cfs(std::string_view quota, std::string_view period) {
  const auto quota_us = number(take_word(quota));
  const auto period_us = number(take_word(period));
  if (!quota_us || !period_us) return std::nullopt;
  return cpus_of(*quota_us, *period_us);
}

std::optional<std::string> cgroup_path(std::string_view text, std::string_view controller) {
  while (!text.empty()) {
    const std::string_view line = take_line(text);  // "4:cpu,cpuacct:/a"
    const std::size_t first = line.find(':');
    const std::size_t second = first == line.npos ? first : line.find(':', first + 1);
    if (second == line.npos) continue;
    const std::string_view controllers = line.substr(first + 1, second - first - 1);
    if (controller.empty() ? !controllers.empty() : !names(controllers, controller)) continue;
    const std::string_view path = line.substr(second + 1);
    return path == "/" ? std::string() : std::string(path);
  }
  return std::nullopt;
}

std::optional<CgroupMount> cgroup_mount(std::string_view text, std::string_view controller) {
  while (!text.empty()) {
    std::string_view line = take_line(text);
    std::vector<std::string_view> words;
    while (!line.empty()) {
      if (const std::string_view word = take_word(line); !word.empty()) words.push_back(word);
    }
    const auto dash = std::ranges::find(words, "-");
    if (dash - words.begin() < 6 || words.end() - dash < 4) continue;
    const bool found = controller.empty() ? dash[1] == "cgroup2"
                                          : dash[1] == "cgroup" && names(dash[3], controller);
    if (found) return CgroupMount{.point = std::string(words[4]), .root = std::string(words[3])};
  }
  return std::nullopt;
}

}  // namespace sni
