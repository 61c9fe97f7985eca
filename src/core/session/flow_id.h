#pragma once

// How operators name a connection: "1-42" is the 42nd of worker 1.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sni {

inline constexpr unsigned flow_serial_bits = 48;

// Of FlowRecord::serial.
constexpr unsigned worker_of(std::uint64_t serial) {
  return static_cast<unsigned>(serial >> flow_serial_bits);
}
std::string flow_id(std::uint64_t serial);
// A name that is unique over all runs: "5f0c9a83d1e2b746-1-42". `run` is a random number of this
// process.
std::string unique_flow_id(std::uint64_t run, std::uint64_t serial);
std::optional<std::uint64_t> parse_flow_id(std::string_view text);

}  // namespace sni
