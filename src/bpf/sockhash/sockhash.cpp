#include "bpf/sockhash/sockhash.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <utility>

#include "bpf/libbpf_lines.h"
#include "bpf/sockhash/cgroup_root.h"
#include "sock_relay.skel.h"

namespace sni {
namespace {

constexpr std::size_t verifier_log_bytes = 64 * 1024;
struct SizedMap {
  const char* name;
  std::uint32_t per_slot;  // Sockets stay in their map until closed; their slots are free earlier.
};
constexpr std::array sized_maps = {
    SizedMap{"SOCK_MAP", 2},   SizedMap{"SOURCE_MAP", 2}, SizedMap{"LOCAL_MAP", 2},
    SizedMap{"SLOT_STATE", 1}, SizedMap{"REGISTERED", 1}, SizedMap{"SOURCE_PAIR", 1},
};

// The line of the verifier's log that names the reason: the last one that is not its statistics.
std::string_view last_words(std::string_view log) {
  log = log.substr(0, log.find('\0'));
  std::string_view reason;
  while (!log.empty()) {
    const auto end = log.find('\n');
    const auto line = log.substr(0, end);
    if (!line.empty() && !line.starts_with("processed ") && !line.starts_with("-- ") &&
        !line.starts_with("verification time"))
      reason = line;
    log.remove_prefix(end == std::string_view::npos ? log.size() : end + 1);
  }
  return reason;
}

std::string likely_cause(int sys_errno, std::string_view log) {
  if (sys_errno == EPERM || sys_errno == EACCES) {
    if (::geteuid() != 0) return " (needs CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON)";
    if (log.empty())
      return " (CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON are needed; a container's seccomp profile "
             "or "
             "kernel lockdown can refuse them)";
  }
  if (sys_errno == ESRCH) return " (the kernel has no BTF: CONFIG_DEBUG_INFO_BTF is off)";
  if (!log.empty()) return " (the kernel says: " + std::string(log) + ")";
  return "";
}

}  // namespace

const char* counter_name(enum sock_stat stat) {
  static constexpr std::array names = {
      "redirect_msg redirects",
      "redirect_msg redirected bytes",
      "redirect_msg passes: unknown socket",
      "redirect_msg passes: kTLS or zero-copy",
      "redirect_msg passes: blocking socket",
      "redirect_msg passes: order",
      "redirect_msg passes: credit",
      "redirect_msg misses",
      "redirect_skb redirects",
      "redirect_skb redirected bytes",
      "redirect_skb passes: empty",
      "redirect_skb passes: unknown socket",
      "redirect_skb passes: gate",
      "redirect_skb passes: backlog",
      "redirect_skb passed bytes",
      "redirect_skb repeated bytes cut off",
      "redirect_skb drops: torn",
      "redirect_skb misses",
      "notices",
      "notices lost",
      "captures",
      "captures left out: backend not known yet",
      "captures left out: blocking backend",
      "capture mismatches",
      "capture failures",
  };
  static_assert(names.size() == SOCK_STATS);
  return names[stat];
}

Result<std::unique_ptr<Sockhash>> Sockhash::load(const SockhashOptions& options) {
  auto sockhash = std::make_unique<Sockhash>();
  if (auto done = sockhash->set_up(options); !done) return std::unexpected(done.error());
  return sockhash;
}

Result<void> Sockhash::set_up(const SockhashOptions& options) {
  if (auto done = open(options); !done) return done;
  if (auto done = map_state(); !done) return done;
  if (auto done = make_rings(options.workers); !done) return done;
  auto attached = attach_to_map("redirect_msg", "LOCAL_MAP", BPF_SK_MSG_VERDICT);
  if (!attached) return attached;
  return attach_to_map("redirect_skb", "SOURCE_MAP", BPF_SK_SKB_STREAM_VERDICT);
}

Sockhash::~Sockhash() {
  if (capture_link_) bpf_link__destroy(capture_link_);
  if (state_) ::munmap(state_, state_bytes_);
  if (object_) bpf_object__close(object_);
}

Result<void> Sockhash::open(const SockhashOptions& options) {
  catch_libbpf_lines();
  log_.assign(verifier_log_bytes, '\0');
  LIBBPF_OPTS(bpf_object_open_opts, open_options, .object_name = "sock_relay",
              .kernel_log_buf = log_.data(), .kernel_log_size = log_.size());
  const std::string origin =
      options.object_file.empty() ? "embedded object" : "object " + options.object_file;
  if (options.object_file.empty()) {
    std::size_t size = 0;
    const void* bytes = sock_relay__elf_bytes(&size);
    object_ = bpf_object__open_mem(bytes, size, &open_options);
  } else {
    object_ = bpf_object__open_file(options.object_file.c_str(), &open_options);
  }
  if (!object_) return fail_sys("cannot open the BPF " + origin, errno);
  if (auto done = size_maps(options); !done) return done;
  if (const int error = -bpf_object__load(object_); error != 0) {
    auto failed = fail_sys("cannot load the SOCKHASH programs of the " + origin, error);
    failed.error().what += likely_cause(error, last_words(log_));
    return failed;
  }
  steps_.push_back("programs loaded: capture_backend, redirect_msg, redirect_skb (" + origin + ")");
  return {};
}

// An object from disk is looked up by name: it must have everything that we use.
Result<void> Sockhash::size_maps(const SockhashOptions& options) {
  for (const auto& [name, per_slot] : sized_maps) {
    bpf_map* map = bpf_object__find_map_by_name(object_, name);
    if (!map) return fail(std::string("the BPF object has no map ") + name);
    if (const int error = -bpf_map__set_max_entries(map, options.slots * per_slot); error != 0)
      return fail_sys(std::string("cannot size map ") + name, error);
  }
  for (const char* name :
       {"TRAFFIC_STATS", "EXPECTED", "LOCAL_STATE", "NOTICES", "LISTENERS", "LISTENING"})
    if (!bpf_object__find_map_by_name(object_, name))
      return fail(std::string("the BPF object has no map ") + name);
  for (const char* name : {"capture_backend", "redirect_msg", "redirect_skb"})
    if (!bpf_object__find_program_by_name(object_, name))
      return fail(std::string("the BPF object has no program ") + name);
  const bpf_map* state = bpf_object__find_map_by_name(object_, "SLOT_STATE");
  if (bpf_map__value_size(state) != sizeof(sock_slot))
    return fail("the BPF object was built for another version of this program");
  slots_ = options.slots;
  return {};
}

Result<void> Sockhash::map_state() {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  state_bytes_ = (slots_ * sizeof(sock_slot) + page - 1) / page * page;
  void* mapped =
      ::mmap(nullptr, state_bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, map_fd("SLOT_STATE"), 0);
  if (mapped == MAP_FAILED) return fail_sys("cannot map SLOT_STATE", errno);
  state_ = static_cast<sock_slot*>(mapped);
  stats_fd_ = map_fd("TRAFFIC_STATS");
  cpus_ = static_cast<std::size_t>(std::max(libbpf_num_possible_cpus(), 1));
  steps_.push_back("maps ready: SOCK_MAP, SOURCE_MAP, LOCAL_MAP, SLOT_STATE (" +
                   std::to_string(slots_) + " pairs), TRAFFIC_STATS");
  return {};
}

Result<void> Sockhash::make_rings(unsigned workers) {
  if (workers == 0 || workers > SOCK_WORKERS_MAX) return fail("1 to 256 workers can be notified");
  for (unsigned i = 0; i < workers; i++) {
    auto ring = UniqueFd::adopt(
        bpf_map_create(BPF_MAP_TYPE_RINGBUF, "NOTICE_RING", 0, 0, SOCK_RING_BYTES, nullptr));
    if (!ring) return fail_sys("cannot create a notice ring", errno);
    const int value = ring.get();
    if (bpf_map_update_elem(map_fd("NOTICES"), &i, &value, BPF_ANY) != 0)
      return fail_sys("cannot store a notice ring", errno);
    rings_.push_back(std::move(ring));
  }
  return {};
}

// Before the first insertion: a socket copies its map's programs when it is inserted.
Result<void> Sockhash::attach_to_map(const char* program, const char* map, int type) {
  const int program_fd = bpf_program__fd(bpf_object__find_program_by_name(object_, program));
  if (bpf_prog_attach(program_fd, map_fd(map), static_cast<bpf_attach_type>(type), 0) != 0)
    return fail_sys(std::string("cannot attach ") + program + " to " + map, errno);
  steps_.push_back(std::string("program attached: ") + program + " to map " + map);
  return {};
}

Result<void> Sockhash::attach_capture() {
  auto root = open_cgroup_root();
  if (!root) return std::unexpected(root.error());
  bpf_program* program = bpf_object__find_program_by_name(object_, "capture_backend");
  capture_link_ = bpf_program__attach_cgroup(program, root->directory.get());
  if (!capture_link_) {
    const int error = errno;
    auto failed = fail_sys("cannot attach capture_backend to cgroup " + root->where, error);
    if (error == EPERM)
      failed.error().what +=
          " (another program holds this cgroup alone, or CAP_NET_ADMIN is missing)";
    return failed;
  }
  steps_.push_back("program attached: capture_backend to cgroup " + root->where);
  return {};
}

void Sockhash::detach_capture() {
  bpf_link__destroy(std::exchange(capture_link_, nullptr));
}

SockCounters Sockhash::counters() const {
  SockCounters sums{};
  std::vector<std::uint64_t> per_cpu(cpus_);
  for (std::uint32_t stat = 0; stat < SOCK_STATS; stat++) {
    if (bpf_map_lookup_elem(stats_fd_, &stat, per_cpu.data()) != 0) continue;
    for (const auto value : per_cpu) sums[stat] += value;
  }
  return sums;
}

std::uint32_t Sockhash::backlog_peak() const {
  std::uint32_t peak = 0;
  for (std::uint32_t slot = 0; slot < slots_; ++slot) {
    peak = std::max(peak, __atomic_load_n(&state_[slot].backlog_peak, __ATOMIC_RELAXED));
  }
  return peak;
}

int Sockhash::map_fd(const char* name) const {
  return bpf_object__find_map_fd_by_name(object_, name);
}

}  // namespace sni
