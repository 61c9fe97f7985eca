#pragma once

// The pinned map SAVED_FLOWS, which tells a later process about the spliced flows of this one: the
// client and other facts for the access line and the limits, and the bytes relayed before the
// hand-over. The flows themselves are in PACKET_FLOWS. The map exists only with pins; no program
// reads it. Each flow has one entry from its hand-over to its access line.

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "bpf/packet/packet_shared.h"
#include "bpf/packet/pin_directory.h"
#include "core/address/address.h"
#include "core/error.h"
#include "core/unique_fd.h"

namespace sni {

// An Endpoint as bytes.
struct SavedEndpoint {
  std::array<std::uint8_t, 16> ip;  // v4-mapped.
  std::uint32_t scope;
  std::uint16_t port;
  std::uint16_t unused;
};

enum class SavedText : std::uint8_t {
  server_name,
  alpn,
  route,
  listener,
  backend,          // As in the access line,
  configured_name,  // and as in the configuration.
};
inline constexpr std::size_t saved_texts = static_cast<std::size_t>(SavedText::configured_name) + 1;

// The value of SAVED_FLOWS. PACKET_LAYOUT covers its layout.
struct SavedFlow {
  packet_key client_key{};
  packet_key backend_key{};
  SavedEndpoint client{};
  SavedEndpoint proxy{};  // Port 0: none.
  std::uint64_t run = 0;  // The process that accepted it, and its serial there.
  std::uint64_t serial = 0;
  std::uint64_t started_ms = 0;  // CLOCK_MONOTONIC.
  std::uint32_t idle_ms = 0;     // Its timeouts.
  std::uint32_t half_closed_ms = 0;
  std::array<std::uint64_t, PACKET_SIDES> relayed{};  // Bytes before the hand-over, by sender.
  std::uint32_t resolve_ms = 0;
  std::uint32_t connect_ms = 0;
  std::uint16_t attempts = 0;
  std::uint16_t tls_version = 0;
  std::uint32_t ech = 0;
  std::array<std::uint16_t, saved_texts> ends{};  // Where each text ends in `bytes`.
  std::uint32_t unused = 0;
  std::array<char, 1024> bytes{};

  std::string_view text(SavedText which) const;
  // Appends the texts one after the other; text that does not fit is cut. Called once.
  void set_texts(std::span<const std::string_view, saved_texts> texts);
};
static_assert(sizeof(SavedFlow) == 1232);

SavedEndpoint saved(const Endpoint& endpoint);
Endpoint restored(const SavedEndpoint& endpoint);

class SavedFlows {
 public:
  // Takes over the pinned map, or makes and pins one for `flows_max` flows.
  static Result<SavedFlows> open(const PinDirectory& pins, std::uint32_t flows_max);

  // Thread-safe.
  Result<void> save(std::uint64_t name, const SavedFlow& flow) const;
  void remove(std::uint64_t name) const;

  std::vector<std::pair<std::uint64_t, SavedFlow>> all() const;
  bool empty() const;

 private:
  UniqueFd map_;
};

}  // namespace sni
