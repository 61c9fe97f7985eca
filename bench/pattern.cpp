#include "bench/pattern.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <vector>

namespace sni::bench {
namespace {

const std::vector<std::byte>& sequence() {
  static const std::vector<std::byte> bytes = [] {
    std::vector<std::byte> filled(pattern_period + chunk_max);
    std::uint64_t state = 0x9E37'79B9'7F4A'7C15;  // xorshift64; any odd seed serves.
    for (std::size_t i = 0; i < filled.size(); ++i) {
      if (i >= pattern_period) {
        filled[i] = filled[i - pattern_period];
        continue;
      }
      state ^= state << 13;
      state ^= state >> 7;
      state ^= state << 17;
      filled[i] = static_cast<std::byte>(state >> 32);
    }
    return filled;
  }();
  return bytes;
}

}  // namespace

std::span<const std::byte> PatternCursor::peek(std::size_t length) const {
  assert(length <= chunk_max);
  return std::span(sequence()).subspan(offset_, length);
}

bool PatternCursor::check(std::span<const std::byte> bytes) {
  bool same = true;
  while (!bytes.empty()) {
    const std::size_t length = std::min(bytes.size(), chunk_max);
    same = same && std::memcmp(bytes.data(), peek(length).data(), length) == 0;
    advance(length);
    bytes = bytes.subspan(length);
  }
  return same;
}

}  // namespace sni::bench
