#pragma once

// SipHash-2-4 (Aumasson and Bernstein, 2012): nobody can prepare collisions without the key. For
// tables that clients can fill.

#include <array>
#include <bit>
#include <cstdint>
#include <string_view>

namespace sni {

using SipKey = std::array<std::uint64_t, 2>;

namespace detail {

struct SipState {
  std::uint64_t v0, v1, v2, v3;

  constexpr void round() {
    v0 += v1;
    v1 = std::rotl(v1, 13) ^ v0;
    v0 = std::rotl(v0, 32);
    v2 += v3;
    v3 = std::rotl(v3, 16) ^ v2;
    v0 += v3;
    v3 = std::rotl(v3, 21) ^ v0;
    v2 += v1;
    v1 = std::rotl(v1, 17) ^ v2;
    v2 = std::rotl(v2, 32);
  }

  constexpr void absorb(std::uint64_t word) {
    v3 ^= word;
    round();
    round();
    v0 ^= word;
  }
};

}  // namespace detail

constexpr std::uint64_t siphash(const SipKey& key, std::string_view bytes) {
  detail::SipState state{.v0 = key[0] ^ 0x736f6d6570736575,
                         .v1 = key[1] ^ 0x646f72616e646f6d,
                         .v2 = key[0] ^ 0x6c7967656e657261,
                         .v3 = key[1] ^ 0x7465646279746573};
  // Words are little-endian; the last one carries the length in its top byte.
  std::uint64_t word = 0;
  for (std::size_t i = 0; i < bytes.size(); i++) {
    word |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[i])) << (i % 8 * 8);
    if (i % 8 == 7) {
      state.absorb(word);
      word = 0;
    }
  }
  state.absorb(word | static_cast<std::uint64_t>(bytes.size()) << 56);
  state.v2 ^= 0xff;
  for (int i = 0; i < 4; i++) state.round();
  return state.v0 ^ state.v1 ^ state.v2 ^ state.v3;
}

}  // namespace sni
