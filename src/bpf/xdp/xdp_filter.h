#pragma once

// The program xdp_ip_filter: loads it, gives it generations of maps and reads its counters.
// xdp_attachment.h attaches it to interfaces.

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "bpf/xdp/xdp_generation.h"
#include "bpf/xdp/xdp_shared.h"
#include "core/error.h"

struct bpf_map;
struct xdp_ip_filter;  // The skeleton that bpftool makes.

namespace sni {

struct XdpCounters {
  std::array<std::array<std::uint64_t, GUARD_PROTOCOLS>, GUARD_REASONS> packets{};

  std::uint64_t total(guard_reason reason) const;
};
const char* to_string(guard_reason reason);
const char* to_string(guard_protocol protocol);

class XdpFilter {
 public:
  // The program passes everything until a generation is activated.
  static Result<XdpFilter> load();

  int program_fd() const;
  // Whether frames of several buffers (jumbo MTU under native XDP) are supported; Linux 5.18.
  bool takes_fragments() const { return takes_fragments_; }

  // Switches to `next` atomically between two packets. Returns the generation that was used before,
  // when no CPU uses it any more.
  Result<std::optional<XdpGeneration>> activate(XdpGeneration next);
  XdpGeneration* active() { return active_ ? &*active_ : nullptr; }

  Result<XdpCounters> counters() const;

 private:
  struct Unload {
    void operator()(xdp_ip_filter* skeleton) const;
  };
  using Skeleton = std::unique_ptr<xdp_ip_filter, Unload>;

  explicit XdpFilter(Skeleton skeleton, bool takes_fragments)
      : skeleton_(std::move(skeleton)), takes_fragments_(takes_fragments) {}
  // One map of a generation and its slot in an array of maps.
  struct Slot {
    const bpf_map* maps;
    std::uint32_t index;
    int map;
  };
  std::vector<Slot> slots_of(std::uint32_t index, const XdpGeneration& generation) const;
  Result<void> fill_slots(std::uint32_t index, const XdpGeneration& generation);

  Skeleton skeleton_;
  bool takes_fragments_;
  std::optional<XdpGeneration> active_;
};

}  // namespace sni
