#pragma once

// The targets of a service from SRV records (RFC 2782), and the order in which a client tries them.
//
// The configuration and the resolver write a service as its name after "srv:", as in
// "srv:_https._tcp.example.internal". No host name has a colon, so the two cannot be confused.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sni {

inline constexpr std::string_view service_prefix = "srv:";

struct ServiceTarget {
  std::string host;  // An absolute name, with its trailing dot.
  std::uint16_t port = 0;
  std::uint16_t priority = 0;  // The lowest comes first,
  std::uint16_t weight = 0;    // and within it the weights decide.
  bool operator==(const ServiceTarget&) const = default;
};

// The usable targets: not "." (the service is not available), not port 0, and only host names.
// Beyond limits::service_targets_max the least preferred are left out.
std::vector<ServiceTarget> usable_targets(std::vector<ServiceTarget> targets);

// Indices of all targets (at most limits::service_targets_max) in the order of RFC 2782; `random`
// decides among those of one priority.
std::vector<std::uint8_t> target_order(std::span<const ServiceTarget> targets,
                                       std::uint64_t random);

}  // namespace sni
