#pragma once

// A connection's share of the counts behind the limits: all connections, those whose sockets the
// proxy has, incomplete hellos, and connections per source. The seat is counted once in each, and
// its destruction gives everything back.

#include <cstdint>
#include <expected>
#include <optional>
#include <utility>

#include "core/address/address.h"
#include "core/session/counters.h"
#include "net/loop/shared.h"

namespace sni {

// Limits of the process.
struct SeatBounds {
  std::uint32_t connections = 0;
  std::uint32_t relayed = 0;  // With two descriptors each; a held port counts as a half.
  std::uint32_t hellos = 0;
};

class Seat {
 public:
  Seat() = default;  // Counted nowhere.
  Seat(Seat&& other) noexcept { swap(other); }
  Seat& operator=(Seat&& other) noexcept {
    swap(other);
    return *this;
  }
  ~Seat();

  // Counts a connection and its hello. `shared` outlives the seat.
  static std::expected<Seat, Refusal> take(Shared& shared, const SeatBounds& bounds);
  // For a connection that an earlier process accepted and that has no sockets: counted regardless
  // of limits.
  static Seat adopt(Shared& shared);
  // Counts the connection for `source` and no longer for the previous source. sources_max 0:
  // sources are not counted.
  std::optional<Refusal> take_source(const IpAddress& source, std::uint32_t sources_max);
  // The hello is complete, or never will be.
  void leave_hello();
  // A plane has taken the connection over whole: its sockets are gone.
  void leave_sockets();

 private:
  void swap(Seat& other) noexcept {
    std::swap(shared_, other.shared_);
    std::swap(source_, other.source_);
    std::swap(in_hello_, other.in_hello_);
    std::swap(has_sockets_, other.has_sockets_);
  }
  void leave_source();

  Shared* shared_ = nullptr;
  std::optional<IpAddress> source_;
  bool in_hello_ = false;
  bool has_sockets_ = false;
};

}  // namespace sni
