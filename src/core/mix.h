#pragma once

// The finaliser of SplitMix64 (Steele, Lea and Flood, 2014): every bit of the result depends on
// every bit of the value. Not keyed: only for values that an attacker gains nothing by choosing.

#include <array>
#include <bit>
#include <cstdint>

namespace sni {

constexpr std::uint64_t mix(std::uint64_t value) {
  value += 0x9e3779b97f4a7c15;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

// An address of 128 bits as one number.
inline std::uint64_t mix(const std::array<std::uint8_t, 16>& bytes) {
  const auto halves = std::bit_cast<std::array<std::uint64_t, 2>>(bytes);
  return mix(halves[0] ^ mix(halves[1]));
}

}  // namespace sni
