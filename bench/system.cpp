#include "bench/system.h"

#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <ctime>
#include <fstream>
#include <sstream>
#include <thread>

#include "bench/clock.h"

namespace sni::bench {
namespace {

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// The number after `label` in a file of "label number kB" lines, in bytes.
std::uint64_t labelled_kib(const std::string& path, const std::string& label) {
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line)) {
    if (line.starts_with(label)) return std::stoull(line.substr(label.size())) * 1024;
  }
  return 0;
}

std::string cpu_model() {
  std::ifstream file("/proc/cpuinfo");
  std::string line;
  while (std::getline(file, line)) {
    if (line.starts_with("model name")) return line.substr(line.find(": ") + 2);
  }
  return "unknown";
}

}  // namespace

double busy_seconds() {
  std::istringstream fields(first_line("/proc/stat"));
  std::string cpu;
  double user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0, steal = 0;
  fields >> cpu >> user >> nice >> system >> idle >> iowait >> irq >> softirq >> steal;
  static const auto ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
  static const auto cpus = static_cast<double>(::sysconf(_SC_NPROCESSORS_ONLN));
  const double elapsed = static_cast<double>(now_ns()) / second_ns;
  return elapsed * cpus - (idle + iowait + steal) / ticks;
}

double process_seconds(pid_t pid) {
  clockid_t clock{};
  timespec spent{};
  if (pid <= 0 || ::clock_getcpuclockid(pid, &clock) != 0 || ::clock_gettime(clock, &spent) != 0) {
    return 0;
  }
  return static_cast<double>(spent.tv_sec) + static_cast<double>(spent.tv_nsec) / second_ns;
}

std::uint64_t process_memory(pid_t pid) {
  if (pid <= 0) return 0;
  const std::string directory = "/proc/" + std::to_string(pid);
  std::uint64_t total = labelled_kib(directory + "/smaps_rollup", "Pss:");
  std::istringstream children(first_line(directory + "/task/" + std::to_string(pid) + "/children"));
  for (pid_t child = 0; children >> child;) total += process_memory(child);
  return total;
}

std::uint64_t available_memory() {
  return labelled_kib("/proc/meminfo", "MemAvailable:");
}

std::uint64_t descriptor_limit() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

std::map<std::string, std::string> describe_machine() {
  utsname kernel{};
  ::uname(&kernel);
  std::map<std::string, std::string> facts{
      {"kernel", std::string(kernel.release) + " " + kernel.version},
      {"architecture", kernel.machine},
      {"cpu", cpu_model()},
      {"cpus", std::to_string(std::thread::hardware_concurrency())},
      {"memory_bytes", std::to_string(labelled_kib("/proc/meminfo", "MemTotal:"))},
      {"descriptor_limit", std::to_string(descriptor_limit())},
  };
  for (const char* name :
       {"net/ipv4/tcp_rmem", "net/ipv4/tcp_wmem", "net/ipv4/tcp_mem", "net/core/rmem_max",
        "net/core/wmem_max", "net/core/somaxconn", "net/ipv4/tcp_congestion_control",
        "net/ipv4/ip_local_port_range", "net/ipv4/tcp_tw_reuse", "net/ipv4/tcp_max_tw_buckets",
        "net/ipv4/tcp_timestamps", "net/core/bpf_jit_enable", "kernel/io_uring_disabled"}) {
    const std::string value = first_line(std::string("/proc/sys/") + name);
    if (!value.empty()) facts[std::string("sysctl ") + name] = value;
  }
  return facts;
}

double Meter::own_seconds() const {
  return process_seconds(::getpid()) + process_seconds(proxy_) + process_seconds(backend_);
}

void Meter::start() {
  proxy_s_ = process_seconds(proxy_);
  own_s_ = own_seconds();
  busy_s_ = busy_seconds();
  start_ns_ = now_ns();
}

Usage Meter::stop() const {
  return {.elapsed_s = static_cast<double>(now_ns() - start_ns_) / second_ns,
          .busy_s = busy_seconds() - busy_s_,
          .proxy_s = process_seconds(proxy_) - proxy_s_,
          .own_s = own_seconds() - own_s_};
}

}  // namespace sni::bench
