#pragma once

// The bytes that the bench sends, and the check that they arrive: one fixed pseudo-random sequence
// whose period is a prime. A byte lost, doubled or swapped shifts what follows, and no chunk size
// that a proxy may work in divides a prime, so a shift never fits. Sending costs nothing (the
// sequence lies ready, with a chunk's length to spare), checking is one memcmp over cached memory.

#include <cstddef>
#include <cstdint>
#include <span>

namespace sni::bench {

inline constexpr std::size_t pattern_period = 65'521;  // Bytes; the largest prime below 64 KiB.
inline constexpr std::size_t chunk_max = 256 * 1024;   // Bytes per send or recv.

// A position in the sequence. Each connection begins at another one, so that bytes of one
// connection that appear on another are noticed too.
class PatternCursor {
 public:
  PatternCursor() = default;
  explicit PatternCursor(std::uint64_t stream) : offset_(stream * 7'919 % pattern_period) {}

  // The next `length` bytes, at most chunk_max.
  std::span<const std::byte> peek(std::size_t length) const;
  void advance(std::size_t length) { offset_ = (offset_ + length) % pattern_period; }
  // Whether these are the next bytes; advances in any case.
  bool check(std::span<const std::byte> bytes);

 private:
  std::size_t offset_ = 0;
};

}  // namespace sni::bench
