#pragma once

// The checksum of RFC 4960, appendix B (Castagnoli), which the PROXY protocol uses.

#include <array>
#include <cstdint>
#include <span>

namespace sni {

class Crc32c {
 public:
  void add(std::span<const std::uint8_t> bytes) {
    for (const std::uint8_t byte : bytes) state_ = table[(state_ ^ byte) & 0xff] ^ (state_ >> 8);
  }
  std::uint32_t value() const { return ~state_; }

 private:
  static constexpr std::uint32_t polynomial = 0x82f63b78;  // Reflected.
  static constexpr std::array<std::uint32_t, 256> table = [] {
    std::array<std::uint32_t, 256> all{};
    for (std::uint32_t i = 0; i < all.size(); ++i) {
      std::uint32_t entry = i;
      for (int bit = 0; bit < 8; ++bit) entry = (entry >> 1) ^ ((entry & 1) != 0 ? polynomial : 0);
      all[i] = entry;
    }
    return all;
  }();

  std::uint32_t state_ = 0xffff'ffff;
};

}  // namespace sni
