// sni-flood: what a flood of SYNs from blocked sources does to an allowed client, by where the
// flood is dropped. Run as root:  build/release/bench/sni-flood build/release/sni-proxy [seconds]
//
// In the bench's lab, an allowed client sends 64-byte messages through the proxy by schedule, at a
// quarter of the rate that it reaches alone, while one sender floods SYNs with real checksums and
// addresses of 198.19.0.0/16 as fast as it can. The row that the others compare with has the same
// sender flood an interface where nothing listens, so what the sender itself costs is in all rows.

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "bench/load.h"
#include "bench/process.h"
#include "bench/stage.h"

namespace sni::bench {
namespace {

constexpr std::uint32_t flood_net = 0xc613'0000;  // 198.19.0.0/16.
constexpr std::uint32_t client_connections = 16;
constexpr std::uint32_t message_bytes = 64;
constexpr unsigned frames_per_call = 64;

// RFC 1071, over an even number of bytes.
std::uint32_t sum_of(const void* data, std::size_t bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < bytes; i += 2) {
    std::uint16_t word = 0;
    std::memcpy(&word, static_cast<const char*>(data) + i, sizeof word);
    sum += word;
  }
  return sum;
}

std::uint16_t folded(std::uint32_t sum) {
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

struct Frame {
  ethhdr ethernet{};
  iphdr ip{};
  tcphdr tcp{};
} __attribute__((packed));

Frame syn(std::uint32_t number, in_addr target) {
  Frame frame;
  frame.ethernet.h_proto = htons(ETH_P_IP);
  std::memset(frame.ethernet.h_dest, 0xff, ETH_ALEN);  // Replaced by the sender.
  iphdr ip{};
  ip.version = 4;
  ip.ihl = 5;
  ip.tot_len = htons(sizeof(iphdr) + sizeof(tcphdr));
  ip.ttl = 64;
  ip.protocol = IPPROTO_TCP;
  ip.saddr = htonl(flood_net | (number * 2654435761u >> 16));
  ip.daddr = target.s_addr;
  ip.check = folded(sum_of(&ip, sizeof ip));
  tcphdr tcp{};
  tcp.source = htons(static_cast<std::uint16_t>(1024 + number % 60'000));
  tcp.dest = htons(443);
  tcp.seq = htonl(number);
  tcp.doff = 5;
  tcp.syn = 1;
  tcp.window = htons(64'240);
  tcp.check = folded(sum_of(&ip.saddr, 8) + htons(IPPROTO_TCP) + htons(sizeof tcp) +
                     sum_of(&tcp, sizeof tcp));
  frame.ip = ip;
  frame.tcp = tcp;
  return frame;
}

using Address = std::array<unsigned char, ETH_ALEN>;

// Never returns. `sent` counts what the interface took.
[[noreturn]] void flood(const char* interface, const Address& peer, in_addr target,
                        std::atomic<std::uint64_t>& sent) {
  const UniqueFd fd = UniqueFd::adopt(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
  const int on = 1;
  setsockopt(fd.get(), SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof on);
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_ifindex = static_cast<int>(if_nametoindex(interface));
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) _exit(1);

  std::vector<Frame> frames;
  for (std::uint32_t i = 0; i < 4096; ++i) {
    frames.push_back(syn(i, target));
    std::memcpy(frames.back().ethernet.h_dest, peer.data(), peer.size());
  }
  std::array<iovec, frames_per_call> parts;
  std::array<mmsghdr, frames_per_call> messages{};
  for (std::size_t at = 0;; at = (at + frames_per_call) % frames.size()) {
    for (unsigned i = 0; i < frames_per_call; ++i) {
      parts[i] = {.iov_base = &frames[at + i], .iov_len = sizeof(Frame)};
      messages[i].msg_hdr.msg_iov = &parts[i];
      messages[i].msg_hdr.msg_iovlen = 1;
    }
    const int taken = sendmmsg(fd.get(), messages.data(), frames_per_call, 0);
    if (taken > 0) sent.fetch_add(static_cast<std::uint64_t>(taken), std::memory_order_relaxed);
  }
}

// Where the flood is dropped.
struct Place {
  const char* title;
  const char* interface;  // That it is sent to; null: no flood.
  const char* mode;       // Of XDP; null: without.
  bool blocked = true;    // By the proxy.
  bool nftables = false;
};
constexpr std::array places = {
    Place{"no flood", nullptr, nullptr},
    Place{"flood elsewhere", "spare", nullptr},
    Place{"XDP native", "wire", "native"},
    Place{"XDP generic", "wire", "generic"},
    Place{"nftables", "wire", nullptr, false, true},
    Place{"at accept", "wire", nullptr},
};

const Place* current = nullptr;  // For configuration(), which has no other way to know.

std::string configuration(const Proxy& proxy, const Scene& scene) {
  std::string text = planes(proxy.program, false).front().configuration(proxy, scene);
  if (current->blocked) text += "\n[access]\nblock = [\"198.19.0.0/16\"]\n";
  if (current->mode) {
    text += "\n[xdp]\ninterfaces = [\"front\"]\nmode = \"" + std::string(current->mode) + "\"\n";
  }
  return text;
}

struct Bed {
  std::unique_ptr<Stage> stage;
  Entry relay;
  Address front{};
  Address idle{};
  std::atomic<std::uint64_t>* sent = nullptr;
};

void in_namespace(const Bed& bed, Role role, const std::vector<std::string>& argv) {
  const InNamespace inside(bed.stage->lab().netns(role));
  if (const auto done = run_tool(argv); !done) {
    std::fprintf(stderr, "%s\n", done.error().what.c_str());
  }
}

Address hardware_address(const Bed& bed, Role role, const char* interface) {
  const InNamespace inside(bed.stage->lab().netns(role));
  const UniqueFd fd = UniqueFd::adopt(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::strncpy(request.ifr_name, interface, IFNAMSIZ - 1);
  ioctl(fd.get(), SIOCGIFHWADDR, &request);
  Address address{};
  std::memcpy(address.data(), request.ifr_hwaddr.sa_data, address.size());
  return address;
}

Result<Bed> make_bed(const std::string& program) {
  auto stage = Stage::create(true, program);
  if (!stage) return std::unexpected(stage.error());
  Bed bed{.stage = std::move(*stage), .relay = {}};
  for (const Entry& entry : bed.stage->entries()) {
    if (entry.row.id == "userspace") bed.relay = entry;
  }
  if (!bed.relay.proxy) return fail("the bench has no userspace row");
  bed.relay.proxy->configuration = configuration;

  const std::string ip = find_program("ip");
  // The other target is in the backend's namespace, where nothing has the flood's address.
  const Site& backend = bed.stage->sites().front();
  in_namespace(bed, Role::client,
               {ip, "link", "add", "spare", "type", "veth", "peer", "name", "idle", "netns",
                std::to_string(backend.backend.pid())});
  in_namespace(bed, Role::client, {ip, "link", "set", "spare", "up"});
  in_namespace(bed, Role::backend, {ip, "link", "set", "idle", "up"});
  in_namespace(bed, Role::backend,
               {find_program("sysctl"), "-q", "net.ipv4.conf.idle.forwarding=0"});
  // What answers a flooding SYN needs a way, as on a host with a default route.
  in_namespace(bed, Role::proxy, {ip, "route", "add", "198.19.0.0/16", "via", "198.18.0.10"});
  bed.front = hardware_address(bed, Role::proxy, "front");
  bed.idle = hardware_address(bed, Role::backend, "idle");
  void* shared = mmap(nullptr, sizeof(std::atomic<std::uint64_t>), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) return fail_sys("cannot map memory", errno);
  bed.sent = std::construct_at(static_cast<std::atomic<std::uint64_t>*>(shared), 0);
  return bed;
}

Result<Child> start_flood(const Bed& bed, const Place& place) {
  const bool elsewhere = std::string(place.interface) == "spare";
  const in_addr target = bed.stage->lab().proxy_address();
  return Child::call(bed.stage->lab().netns(Role::client), [&] {
    flood(place.interface, elsewhere ? bed.idle : bed.front, target, *bed.sent);
  });
}

Result<Outcome> measure(Bed& bed, const Place& place, double seconds, std::uint32_t rate) {
  current = &place;
  auto candidate = bed.stage->start(bed.relay);
  if (!candidate) return std::unexpected(candidate.error());
  const std::string nft = find_program("nft");
  if (place.nftables) {
    in_namespace(bed, Role::proxy,
                 {nft,
                  "add table ip flood; add chain ip flood in { type filter hook prerouting "
                  "priority -300; }; add rule ip flood in ip saddr 198.19.0.0/16 drop"});
  }
  Result<Child> flooding = Child();
  if (place.interface) flooding = start_flood(bed, place);
  if (!flooding) return std::unexpected(flooding.error());

  const InNamespace inside(bed.stage->lab().netns(Role::client));
  const Timing timing{.warmup_s = 0.3, .window_s = seconds};
  const std::uint64_t before = *bed.sent;
  Outcome outcome =
      rate == 0 ? load_ping_pong(candidate->target, timing, client_connections, message_bytes)
                : load_schedule(candidate->target, timing, client_connections, message_bytes, rate);
  // Over warm-up and window; the share that falls between is negligible.
  outcome.values["flood"] = static_cast<double>(*bed.sent - before) / (seconds + timing.warmup_s);
  if (place.nftables) in_namespace(bed, Role::proxy, {nft, "delete table ip flood"});
  return outcome;
}

int run(const std::string& program, double seconds) {
  auto bed = make_bed(program);
  if (!bed) return std::fprintf(stderr, "%s\n", bed.error().what.c_str()), 1;
  const auto alone = measure(*bed, places.front(), seconds, 0);
  if (!alone) return std::fprintf(stderr, "%s\n", alone.error().what.c_str()), 1;
  const auto rate = static_cast<std::uint32_t>(alone->values.at("rate") / 4);
  std::printf("alone %.0f messages/s; offered %u/s\n", alone->values.at("rate"), rate);
  std::printf("%-16s %10s %8s %8s %12s %10s\n", "flood dropped", "goodput/s", "p50 us", "p99 us",
              "packets/s", "CPU s/1M");
  double quiet_busy = 0;
  for (const Place& place : places) {
    auto outcome = measure(*bed, place, seconds, rate);
    if (!outcome) return std::fprintf(stderr, "%s\n", outcome.error().what.c_str()), 1;
    auto& values = outcome->values;
    const double busy = values["busy_s"] / values["elapsed_s"];
    if (!place.interface) quiet_busy = busy;
    const double cost = values["flood"] > 0 ? (busy - quiet_busy) / values["flood"] * 1e6 : 0;
    std::printf("%-16s %10.0f %8.0f %8.0f %12.0f %10.2f\n", place.title, values["rate"],
                values["p50_us"], values["p99_us"], values["flood"], cost);
    if (outcome->faults.empty()) continue;
    std::printf("  %zu faults: %s\n", outcome->faults.size(), outcome->faults.front().c_str());
  }
  return 0;
}

}  // namespace
}  // namespace sni::bench

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: sni-flood SNI-PROXY [SECONDS]\n");
    return 2;
  }
  return sni::bench::run(argv[1], argc > 2 ? std::stod(argv[2]) : 3.0);
}
