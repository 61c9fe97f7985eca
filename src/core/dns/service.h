#pragma once

// The targets of a service as DNS tells them by SRV records (RFC 2782), and the order in which a
// client tries them.
//
// In the configuration, and among the names that a resolver is asked for, a service is its name
// behind "srv:", as in "srv:_https._tcp.example.internal": no host name has a colon, so the two never
// meet.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sni {

inline constexpr std::string_view service_prefix = "srv:";

struct ServiceTarget {
  std::string host;  // An absolute name, with its last dot.
  std::uint16_t port = 0;
  std::uint16_t priority = 0;  // The lowest comes first,
  std::uint16_t weight = 0;    // and within it each by its share of the weights.
  bool operator==(const ServiceTarget&) const = default;
};

// Those that can be used: without "." (the service is not to be had), port 0 and what is no host
// name; where there are more than limits::service_targets_max, without the least preferred.
std::vector<ServiceTarget> usable_targets(std::vector<ServiceTarget> targets);

// Indices of all (at most limits::service_targets_max) in the order of RFC 2782; `random` decides
// among those of one priority.
std::vector<std::uint8_t> target_order(std::span<const ServiceTarget> targets,
                                       std::uint64_t random);

}  // namespace sni
