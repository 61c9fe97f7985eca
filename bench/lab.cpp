#include "bench/lab.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <sstream>
#include <utility>

#include "bench/process.h"
#include "bench/run_name.h"

namespace sni::bench {
namespace {

constexpr std::array<const char*, 4> role_names = {"client", "proxy", "backend", "container"};
constexpr std::array all_roles = {Role::client, Role::proxy, Role::backend, Role::container};
constexpr int client_count = 8;  // Source addresses: eight times the ports of one.

in_addr address(const char* text) {
  in_addr parsed{};
  ::inet_pton(AF_INET, text, &parsed);
  return parsed;
}

// Sysctls of this thread's namespace. Those missing in an older kernel are left out.
bool write_sysctl(const char* name, const char* value) {
  std::ofstream file("/proc/sys/net/ipv4/" + std::string(name));
  return static_cast<bool>(file << value << std::flush);
}

void tune(const UniqueFd& netns) {
  const InNamespace inside(netns.get());
  write_sysctl("ip_forward", "1");
  // TIME_WAIT must not limit connections per second: more ports, reuse where timestamps prove it
  // safe, and few sockets in TIME_WAIT.
  write_sysctl("ip_local_port_range", "1024 65535");
  write_sysctl("tcp_tw_reuse", "1");
  write_sysctl("tcp_max_tw_buckets", "16384");
  write_sysctl("tcp_max_syn_backlog", "8192");
  // The kernel's own default, whatever the host uses: BBR, for example, paces by timers, and over
  // veth the bench would measure those. A namespace may only choose among
  // tcp_allowed_congestion_control, which always has Reno; without losses the two behave alike.
  if (!write_sysctl("tcp_congestion_control", "cubic")) {
    write_sysctl("tcp_congestion_control", "reno");
  }
}

}  // namespace

std::string to_string(in_addr value) {
  std::array<char, INET_ADDRSTRLEN> text{};
  ::inet_ntop(AF_INET, &value, text.data(), text.size());
  return text.data();
}

InNamespace::InNamespace(int netns) {
  if (netns < 0) return;
  home_ = UniqueFd::adopt(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  if (::setns(netns, CLONE_NEWNET) != 0) home_.reset();
}

InNamespace::~InNamespace() {
  if (home_) ::setns(home_.get(), CLONE_NEWNET);
}

bool Lab::may_make_namespaces() {
  // Tried in a child, since the way back needs the same privilege.
  const auto made = run_tool({find_program("unshare"), "--net", "true"});
  return made.has_value() && ::geteuid() == 0;
}

Lab Lab::loopback() {
  Lab lab;
  lab.proxy_ = address("127.0.0.1");
  lab.backend_ = address("127.0.1.1");
  for (int i = 0; i < client_count; ++i) {
    lab.clients_.push_back(address(("127.0.0." + std::to_string(10 + i)).c_str()));
  }
  return lab;
}

Result<Lab> Lab::namespaces() {
  if (find_program("ip").empty()) return fail("the lab needs the 'ip' tool: install iproute2");
  Lab lab;
  lab.prefix_ = run_prefix();
  lab.proxy_ = address("198.18.0.1");
  lab.backend_ = address("198.18.1.10");
  lab.container_ = address("198.18.2.10");
  for (int i = 0; i < client_count; ++i) {
    lab.clients_.push_back(address(("198.18.0." + std::to_string(10 + i)).c_str()));
  }
  if (auto built = lab.build(); !built) return std::unexpected(built.error());
  return lab;
}

Result<void> Lab::build() {
  const std::string ip = find_program("ip");
  const auto name = [&](Role role) { return prefix_ + role_names[static_cast<std::size_t>(role)]; };
  for (const Role role : all_roles) {
    if (auto made = run_tool({ip, "netns", "add", name(role)}); !made) {
      return std::unexpected(made.error());
    }
    netns_[static_cast<std::size_t>(role)] =
        UniqueFd::adopt(::open(("/run/netns/" + name(role)).c_str(), O_RDONLY | O_CLOEXEC));
  }
  std::vector<std::string> steps;
  const auto in = [&](Role role, const std::string& words) {
    steps.push_back("-n " + name(role) + " " + words);
  };
  // Two queues, as network cards have several. Only XDP makes veth use them.
  const std::string queues = " numtxqueues 2 numrxqueues 2 ";
  in(Role::client, "link add wire" + queues + "type veth peer name front" + queues + "netns " +
                       name(Role::proxy));
  in(Role::backend, "link add wire type veth peer name back netns " + name(Role::proxy));
  in(Role::container, "link add wire type veth peer name port netns " + name(Role::proxy));
  in(Role::proxy, "link add bridge type bridge");
  in(Role::proxy, "link set port master bridge");
  for (const in_addr& client : clients_) {
    in(Role::client, "address add " + to_string(client) + "/24 dev wire");
  }
  in(Role::proxy, "address add 198.18.0.1/24 dev front");
  in(Role::proxy, "address add 198.18.1.1/24 dev back");
  in(Role::proxy, "address add 198.18.2.1/24 dev bridge");
  in(Role::backend, "address add 198.18.1.10/24 dev wire");
  in(Role::container, "address add 198.18.2.10/24 dev wire");
  for (const Role role : all_roles) {
    in(role, "link set lo up");
    if (role != Role::proxy) in(role, "link set wire up");
  }
  for (const char* device : {"front", "back", "port", "bridge"}) {
    in(Role::proxy, std::string("link set ") + device + " up");
  }
  in(Role::client, "route add default via 198.18.0.1");
  in(Role::backend, "route add default via 198.18.1.1");
  in(Role::container, "route add default via 198.18.2.1");
  for (const std::string& step : steps) {
    std::vector<std::string> argv = {ip};
    std::istringstream words(step);
    for (std::string word; words >> word;) argv.push_back(word);
    if (auto done = run_tool(argv); !done) return std::unexpected(done.error());
  }
  for (const UniqueFd& netns : netns_) tune(netns);
  return {};
}

Lab::Lab(Lab&& other) noexcept
    : prefix_(std::exchange(other.prefix_, {})),
      netns_(std::move(other.netns_)),
      proxy_(other.proxy_),
      backend_(other.backend_),
      container_(other.container_),
      clients_(std::move(other.clients_)) {}

Lab::~Lab() {
  if (prefix_.empty()) return;
  for (const char* role : role_names) {
    (void)run_tool({find_program("ip"), "netns", "del", prefix_ + role});
  }
}

}  // namespace sni::bench
