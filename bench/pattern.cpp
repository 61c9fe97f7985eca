#include "bench/pattern.h"

#include <sys/socket.h>

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

ssize_t PatternReader::receive(int fd, std::span<std::byte> scratch, Look look) {
  const bool looks = look == Look::all || turn_ % sample_every == 0;
  const ssize_t n = ::recv(fd, scratch.data(), scratch.size(), looks ? 0 : MSG_TRUNC);
  if (n <= 0) return n;
  ++turn_;
  const auto length = static_cast<std::size_t>(n);
  if (looks) {
    intact_ = cursor_.check(scratch.first(length)) && intact_;
  } else {
    cursor_.advance(length);
  }
  return n;
}

}  // namespace sni::bench
