#pragma once

// Drives a FlightScanner like a connection, and collects the results.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <ostream>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/hello/first_flight.h"

namespace sni::test {

// A FirstFlight that outlives the bytes it was read from.
struct FlightCopy {
  std::string name;
  std::vector<std::uint8_t> alpn_list;
  std::uint16_t version = 0;
  bool ech = false;
  bool operator==(const FlightCopy&) const = default;
};

using FlightResult = std::expected<FlightCopy, FlightError>;

inline FlightResult copy_flight(const std::expected<FirstFlight, FlightFault>& flight) {
  if (!flight) return std::unexpected(flight.error().error);
  return FlightCopy{.name = std::string(flight->name()),
                    .alpn_list = {flight->alpn_list.begin(), flight->alpn_list.end()},
                    .version = flight->version,
                    .ech = flight->ech};
}

inline FlightResult parse_flight(const FlightScanner& scanner,
                                 std::span<const std::uint8_t> bytes) {
  std::vector<std::uint8_t> scratch(limits::hello_bytes_max + limits::handshake_header);
  return copy_flight(scanner.parse(bytes, scratch));
}

struct Delivery {
  FlightResult result = FlightCopy{};
  bool complete = false;  // scan() has finished: the flight is complete, or invalid.
  std::size_t scans = 0;
};

// Gives the scanner growing prefixes of `wire`: first `first` bytes, then at least `step` more and
// as many as it asks for, until it is done or there are no more. At the end of `wire` it gets all
// of it once, as after the client's FIN.
inline Delivery deliver(Protocol protocol, std::span<const std::uint8_t> wire, std::size_t first,
                        std::size_t step) {
  Delivery delivery;
  FlightScanner scanner(protocol);
  std::size_t there = std::min(first, wire.size());
  while (true) {
    ++delivery.scans;
    const auto need = scanner.scan(wire.first(there));
    if (!need || *need == 0) {
      delivery.complete = true;
      delivery.result = need ? parse_flight(scanner, wire.first(there))
                             : FlightResult(std::unexpected(need.error()));
      return delivery;
    }
    if (*need <= there) throw std::logic_error("the scan asks for no more than is there");
    if (there == wire.size()) return delivery;
    there = std::min(std::max(*need, there + step), wire.size());
  }
}

inline Delivery deliver(Protocol protocol, std::span<const std::uint8_t> wire) {
  return deliver(protocol, wire, wire.size(), 1);
}

inline std::ostream& operator<<(std::ostream& out, const FlightResult& result) {
  static constexpr std::array names{"not the protocol", "malformed",          "oversized",
                                    "record overflow",  "unexpected message", "bad name",
                                    "other version"};
  if (!result) return out << names[static_cast<std::size_t>(result.error())];
  return out << '"' << result->name << "\", version " << result->version << ", "
             << result->alpn_list.size() << " bytes of ALPN" << (result->ech ? ", ECH" : "");
}

}  // namespace sni::test
