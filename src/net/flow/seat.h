#pragma once

// A connection's place among those that the limits count: all connections, hellos that are not
// complete, and connections of one source. Whoever holds the seat is counted, once each; the end of
// the seat gives everything back.

#include <cstdint>
#include <expected>
#include <optional>
#include <utility>

#include "core/address/address.h"
#include "core/session/counters.h"
#include "net/loop/shared.h"

namespace sni {

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
  static std::expected<Seat, Refusal> take(Shared& shared, std::uint32_t connections_max,
                                           std::uint32_t hellos_max);
  // Counts the connection for `source`; the source before it is given back. sources_max 0: sources
  // are not counted.
  std::optional<Refusal> take_source(const IpAddress& source, std::uint32_t sources_max);
  // The hello is complete, or will never be.
  void leave_hello();

 private:
  void swap(Seat& other) noexcept {
    std::swap(shared_, other.shared_);
    std::swap(source_, other.source_);
    std::swap(in_hello_, other.in_hello_);
  }
  void leave_source();

  Shared* shared_ = nullptr;
  std::optional<IpAddress> source_;
  bool in_hello_ = false;
};

}  // namespace sni
