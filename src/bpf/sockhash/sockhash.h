#pragma once

// The loaded SOCKHASH programs and their maps; one per process. It owns every descriptor, so that
// everything ends with the process, however that ends: a BPF link attaches the sockops program, and
// the other programs are attached to maps that nobody else holds. sock_slots.h has the operations
// of workers on single pairs.
//
// Load it at the start, on one thread. Afterwards counters() and the descriptors may be used from
// any thread.

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "bpf/sockhash/sock_shared.h"
#include "core/error.h"
#include "core/unique_fd.h"

struct bpf_link;
struct bpf_object;

namespace sni {

struct SockhashOptions {
  std::string object_file;      // A BPF object on disk to load; empty: the one in the binary.
  std::uint32_t slots = 16384;  // Concurrent pairs of all workers.
  unsigned workers = 1;
};

using SockCounters = std::array<std::uint64_t, SOCK_STATS>;

// The names of the counters in reports: "redirect_msg redirects" and so on.
const char* counter_name(enum sock_stat stat);

class Sockhash {
 public:
  // Loads the programs and attaches them to their maps; nothing is redirected until a pair is
  // armed.
  static Result<std::unique_ptr<Sockhash>> load(const SockhashOptions& options);
  Sockhash() = default;  // Empty; load() fills it.
  ~Sockhash();
  Sockhash(const Sockhash&) = delete;
  Sockhash& operator=(const Sockhash&) = delete;

  // Starts to capture the accepted sockets of backends on this host.
  Result<void> attach_capture();
  // Stops capturing; captured sockets stay captured.
  void detach_capture();
  bool captures() const { return capture_link_ != nullptr; }

  // The steps taken, one line each, for the log.
  const std::vector<std::string>& steps() const { return steps_; }
  SockCounters counters() const;
  // The longest backlog that any living pair has had, in bytes.
  std::uint32_t backlog_peak() const;

  std::uint32_t slots() const { return slots_; }
  unsigned workers() const { return static_cast<unsigned>(rings_.size()); }

  // For SockSlots.
  sock_slot& slot(std::uint32_t index) const { return state_[index]; }
  int ring_fd(unsigned worker) const { return rings_[worker].get(); }
  int map_fd(const char* name) const;

 private:
  Result<void> set_up(const SockhashOptions& options);
  Result<void> open(const SockhashOptions& options);
  Result<void> size_maps(const SockhashOptions& options);
  Result<void> map_state();
  Result<void> make_rings(unsigned workers);
  Result<void> attach_to_map(const char* program, const char* map, int type);

  std::string log_;  // The verifier's log; outlives object_, which writes into it.
  bpf_object* object_ = nullptr;
  bpf_link* capture_link_ = nullptr;
  sock_slot* state_ = nullptr;
  std::size_t state_bytes_ = 0;
  std::uint32_t slots_ = 0;
  int stats_fd_ = -1;
  std::size_t cpus_ = 0;
  std::vector<UniqueFd> rings_;
  std::vector<std::string> steps_;
};

}  // namespace sni
