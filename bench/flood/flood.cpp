// sni-flood: what a flood from blocked sources does to an allowed client, by where it is dropped.
// Run as root:  build/release/bench/sni-flood build/release/sni-proxy [seconds] [rounds]
//
// In the bench's lab, an allowed client sends 64-byte messages through the proxy by schedule, at a
// quarter of the rate that it reaches alone, while one sender of 198.19.0.0/16 floods as fast as it
// can. In the reference the same sender floods an interface where nothing listens. Sources of SYNs
// are forged and never answer, so SYNs that are not dropped do not reach the check at accept. For
// that check the sender really connects, which is another kind of flood, counted in connections.
//
// Each round measures all places; the table has medians over the rounds, also of ratios. The CPU
// time of a flood is that of the whole system, less its CPU time without a flood, and less the time
// that the same sender takes to put the same number of frames into a sink (a bridge without ports).

#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bench/clock.h"
#include "bench/flood/senders.h"
#include "bench/interrupt.h"
#include "bench/load.h"
#include "bench/process.h"
#include "bench/run_name.h"
#include "bench/stage.h"
#include "bench/stats.h"
#include "net/control/control_client.h"

namespace sni::bench {
namespace {

constexpr std::uint32_t client_connections = 16;
constexpr std::uint32_t message_bytes = 64;
constexpr const char* flood_net = "198.19.0.0/16";

enum class Flood : std::uint8_t { none, sink, elsewhere, syns, connections };

// The target of the flood, and what drops it.
struct Place {
  const char* title;
  Flood flood;
  const char* xdp_mode = nullptr;  // Null: without XDP.
  bool nftables = false;           // Else the proxy blocks the sources.
};
constexpr std::array places = {
    Place{"no flood", Flood::none},
    Place{"SYNs into a sink (what sending costs)", Flood::sink},
    Place{"SYNs into an interface where nothing listens (reference)", Flood::elsewhere},
    Place{"SYNs, dropped by XDP, native", Flood::syns, "native"},
    Place{"SYNs, dropped by XDP, generic", Flood::syns, "generic"},
    Place{"SYNs, dropped by nftables, prerouting", Flood::syns, nullptr, true},
    Place{"SYNs, dropped by nothing (they never get to accept)", Flood::syns},
    Place{"connections, closed by the check at accept", Flood::connections},
};
constexpr std::size_t quiet = 0, sink = 1, reference = 2;

// For configuration(), which has no parameter for it.
const Place* current = nullptr;
std::string control_socket;

std::string configuration(const Proxy& proxy, const Scene& scene) {
  control_socket = scene.directory + "/control.sock";
  std::string text = planes(proxy.program, false).front().configuration(proxy, scene);
  if (!current->nftables) text += "\n[access]\nblock = [\"" + std::string(flood_net) + "\"]\n";
  if (current->xdp_mode) {
    text +=
        "\n[xdp]\ninterfaces = [\"front\"]\nmode = \"" + std::string(current->xdp_mode) + "\"\n";
  }
  return text;
}

struct Bed {
  std::unique_ptr<Stage> stage;
  Entry relay;
  HardwareAddress front{};
  HardwareAddress idle{};
  std::atomic<std::uint64_t>* sent = nullptr;
};

std::string in_namespace(const Bed& bed, Role role, const std::string& words) {
  const InNamespace inside(bed.stage->lab().netns(role));
  std::vector<std::string> argv;
  for (std::size_t at = 0, end = 0; at < words.size(); at = end + 1) {
    end = std::min(words.find(' ', at), words.size());
    argv.push_back(words.substr(at, end - at));
  }
  argv.front() = find_program(argv.front());
  auto done = run_tool(argv);
  if (done) return *done;
  std::fprintf(stderr, "%s\n", done.error().what.c_str());
  return {};
}

HardwareAddress hardware_address(const Bed& bed, Role role, const char* interface) {
  const InNamespace inside(bed.stage->lab().netns(role));
  const UniqueFd fd = UniqueFd::adopt(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::strncpy(request.ifr_name, interface, IFNAMSIZ - 1);
  ioctl(fd.get(), SIOCGIFHWADDR, &request);
  HardwareAddress address{};
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

  // The other target is in the backend's namespace, where nothing has the flood's address.
  in_namespace(bed, Role::client,
               "ip link add spare type veth peer name idle netns " +
                   std::to_string(bed.stage->sites().front().backend.pid()));
  in_namespace(bed, Role::client, "ip link add sink type bridge");
  for (const char* interface : {"spare", "sink"}) {
    in_namespace(bed, Role::client, "ip link set " + std::string(interface) + " up");
  }
  in_namespace(bed, Role::backend, "ip link set idle up");
  in_namespace(bed, Role::backend, "sysctl -q net.ipv4.conf.idle.forwarding=0");
  // The flood leaves by one queue and the client's packets by the other (XPS), as they would reach
  // different queues of a network card. In one queue of veth (256 packets) the client's are lost
  // whenever the CPU that sends the flood has no time to drop it.
  const auto queued =
      run_tool({find_program("ip"), "netns", "exec", run_prefix() + "client", "sh", "-c",
                ("cd /sys/class/net/wire/queues && echo 1 > tx-0/xps_cpus && "
                 "echo 2 > tx-1/xps_cpus")});
  if (!queued) return std::unexpected(queued.error());
  // Answers to SYNs need a route, as on a host with a default route, and end there.
  in_namespace(bed, Role::proxy, "ip route add 198.19.0.0/16 via 198.18.0.10");
  in_namespace(bed, Role::client, "ip route add blackhole 198.19.0.0/16");
  bed.front = hardware_address(bed, Role::proxy, "front");
  bed.idle = hardware_address(bed, Role::backend, "idle");
  void* shared = mmap(nullptr, sizeof(std::atomic<std::uint64_t>), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) return fail_sys("cannot map memory", errno);
  bed.sent = std::construct_at(static_cast<std::atomic<std::uint64_t>*>(shared), 0);
  return bed;
}

Result<Child> start_flood(const Bed& bed, Flood flood) {
  if (flood == Flood::none) return Child();
  const in_addr target = bed.stage->lab().proxy_address();
  const char* interface = flood == Flood::sink        ? "sink"
                          : flood == Flood::elsewhere ? "spare"
                                                      : "wire";
  return Child::call(bed.stage->lab().netns(Role::client), [&] {
    if (flood == Flood::connections) flood_connections(target, *bed.sent);
    flood_syns(interface, flood == Flood::elsewhere ? bed.idle : bed.front, target, *bed.sent);
  });
}

// How many packets, or connections, this place has dropped so far.
double dropped(const Bed& bed, const Place& place) {
  if (place.nftables) {
    constexpr std::string_view mark = "packets ";
    const std::string table = in_namespace(bed, Role::proxy, "nft list table ip flood");
    const std::size_t at = table.find(mark);
    if (at == std::string::npos) return 0;
    std::uint64_t packets = 0;
    std::from_chars(table.data() + at + mark.size(), table.data() + table.size(), packets);
    return static_cast<double>(packets);
  }
  if (place.flood == Flood::connections) return static_cast<double>(*bed.sent);
  if (!place.xdp_mode) return 0;
  const auto answer = control_call(control_socket, {{"command", "blocklist_hits"}});
  if (!answer) return 0;
  double sum = 0;
  for (const auto& hit : answer->at("hits")) sum += hit.at("packets").get<double>();
  return sum;
}

// Gets the namespaces ready for a place, and puts them back.
class Setting {
 public:
  Setting(const Bed& bed, const Place& place) : bed_(bed), place_(place) {
    if (place.nftables) {
      for (const char* words :
           {"nft add table ip flood",
            "nft add chain ip flood in { type filter hook prerouting priority -300 ; }",
            "nft add rule ip flood in ip saddr 198.19.0.0/16 counter drop"}) {
        in_namespace(bed, Role::proxy, words);
      }
    }
    if (place.flood == Flood::connections) route("replace local 198.19.0.0/16 dev lo");
  }
  ~Setting() {
    if (place_.nftables) in_namespace(bed_, Role::proxy, "nft delete table ip flood");
    if (place_.flood == Flood::connections) route("del local 198.19.0.0/16 dev lo");
  }
  Setting(const Setting&) = delete;
  Setting& operator=(const Setting&) = delete;

 private:
  void route(const std::string& words) const {
    in_namespace(bed_, Role::client, "ip route " + words + " table local");
  }
  const Bed& bed_;
  const Place& place_;
};

// Measures one place in one round; `rate` 0: as many messages as possible.
Result<Outcome> measure(Bed& bed, const Place& place, double seconds, std::uint32_t rate) {
  current = &place;
  auto candidate = bed.stage->start(bed.relay, {});
  if (!candidate) return std::unexpected(candidate.error());
  const Setting setting(bed, place);
  const auto flooding = start_flood(bed, place.flood);
  if (!flooding) return std::unexpected(flooding.error());

  const Timing timing{.warmup_s = 0.3, .window_s = seconds};
  const std::uint64_t begin = now_ns();
  const std::uint64_t sent_before = *bed.sent;
  const double dropped_before = dropped(bed, place);
  Outcome outcome;
  {
    const InNamespace inside(bed.stage->lab().netns(Role::client));
    outcome =
        rate == 0
            ? load_ping_pong(candidate->target, timing, client_connections, message_bytes)
            : load_schedule(candidate->target, timing, client_connections, message_bytes, rate);
  }
  // Over warm-up, window and drain: the flood goes on at its rate through all of them.
  const double elapsed_s = static_cast<double>(now_ns() - begin) / second_ns;
  outcome.values["sent"] = static_cast<double>(*bed.sent - sent_before) / elapsed_s;
  outcome.values["dropped"] = (dropped(bed, place) - dropped_before) / elapsed_s;
  return outcome;
}

// The results of one place over the rounds.
struct Shown {
  std::map<std::string, std::vector<double>> samples;
  std::string fault;
  std::size_t faults = 0;

  void add(const std::string& name, double value) { samples[name].push_back(value); }
  double at(const std::string& name) const {
    const auto found = samples.find(name);
    return found == samples.end() ? 0 : median(found->second);
  }
};
using Table = std::array<Shown, places.size()>;

Result<void> run_round(Bed& bed, double seconds, std::uint32_t rate, Table& table) {
  std::array<std::map<std::string, double>, places.size()> round;
  for (std::size_t i = 0; i < places.size() && !interrupted(); ++i) {
    auto outcome = measure(bed, places[i], seconds, rate);
    if (!outcome) return fail(std::string(places[i].title) + ": " + outcome.error().what);
    round[i] = outcome->values;
    if (outcome->faults.empty()) continue;
    ++table[i].faults;
    table[i].fault = outcome->faults.front();
  }
  if (interrupted()) return fail("interrupted");
  const auto busy = [&](std::size_t i) { return round[i]["busy_s"] / round[i]["elapsed_s"]; };
  const double sending = (busy(sink) - busy(quiet)) / round[sink]["sent"];
  for (std::size_t i = 0; i < places.size(); ++i) {
    for (const char* name : {"rate", "p99_us", "sent", "dropped"}) {
      table[i].add(name, round[i][name]);
    }
    table[i].add("rate_ratio", round[i]["rate"] / round[reference]["rate"]);
    table[i].add("p99_ratio", round[i]["p99_us"] / round[reference]["p99_us"]);
    if (places[i].flood == Flood::none) continue;
    const bool frames = places[i].flood != Flood::connections;
    const double spent = busy(i) - busy(quiet) - (frames ? sending * round[i]["sent"] : 0);
    const double handled = round[i]["dropped"] > 0 ? round[i]["dropped"] : round[i]["sent"];
    table[i].add("cost", spent / handled * 1e6);
  }
  return {};
}

void print(const Table& table, double alone, std::uint32_t rate) {
  std::printf(
      "The allowed client reaches %.0f messages/s alone; offered: %u/s. Medians of %zu rounds.\n\n",
      alone, rate, table[quiet].samples.at("rate").size());
  std::printf(
      "| flood | sent/s | dropped/s | goodput, messages/s | p99, µs | CPU s per million |\n"
      "|---|---:|---:|---:|---:|---:|\n");
  for (std::size_t i = 0; i < places.size(); ++i) {
    const Shown& shown = table[i];
    std::printf("| %s | %.0f | ", places[i].title, shown.at("sent"));
    shown.at("dropped") > 0 ? std::printf("%.0f", shown.at("dropped")) : std::printf("-");
    std::printf(" | %.0f (%.2fx) | %.0f (%.2fx) | ", shown.at("rate"), shown.at("rate_ratio"),
                shown.at("p99_us"), shown.at("p99_ratio"));
    i <= sink ? std::printf("- |\n") : std::printf("%.3f |\n", shown.at("cost"));
  }
  std::printf(
      "\nIn brackets: of the reference. CPU seconds of the whole system per million dropped, or "
      "sent where nothing drops them, beyond what it spends without a flood and what sending "
      "costs; of connections both ends.\n");
  for (std::size_t i = 0; i < places.size(); ++i) {
    if (table[i].faults == 0) continue;
    std::printf("\n%s: %zu rounds with faults: %s\n", places[i].title, table[i].faults,
                table[i].fault.c_str());
  }
}

int fail_with(const Error& error) {
  std::fprintf(stderr, "sni-flood: %s\n", error.what.c_str());
  return 1;
}

int run(const std::string& program, double seconds, unsigned rounds) {
  catch_interrupts();
  auto bed = make_bed(program);
  if (!bed) return fail_with(bed.error());
  auto alone = measure(*bed, places[quiet], seconds, 0);
  if (!alone) return fail_with(alone.error());
  const double reached = alone->values["rate"];
  const auto rate = static_cast<std::uint32_t>(reached / 4);
  Table table;
  for (unsigned round = 0; round < rounds; ++round) {
    std::fprintf(stderr, "round %u of %u\n", round + 1, rounds);
    if (const auto done = run_round(*bed, seconds, rate, table); !done) {
      return fail_with(done.error());
    }
  }
  print(table, reached, rate);
  return 0;
}

}  // namespace
}  // namespace sni::bench

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: sni-flood SNI-PROXY [SECONDS] [ROUNDS]\n");
    return 2;
  }
  return sni::bench::run(argv[1], argc > 2 ? std::stod(argv[2]) : 2.5,
                         argc > 3 ? static_cast<unsigned>(std::stoul(argv[3])) : 5);
}
