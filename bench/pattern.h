#pragma once

// The bytes that the bench sends, and the check that they arrive: one fixed pseudo-random sequence
// whose period is a prime. A lost, duplicated or swapped byte shifts what follows, and no chunk
// size of a proxy divides a prime, so a shift never matches. Sending costs nothing (the sequence is
// precomputed, with a chunk's length to spare), and checking is one memcmp over cached memory. At
// full speed even that, and the copy before it, would make the reader the slowest part of the lab.
// There PatternReader checks samples, which detect a shift anywhere before them.

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <span>

namespace sni::bench {

inline constexpr std::size_t pattern_period = 65'521;  // Bytes; the largest prime below 64 KiB.
inline constexpr std::size_t chunk_max = 256 * 1024;   // Bytes per send or recv.
inline constexpr unsigned sample_every = 8;            // One of so many receives is checked.

// A position in the sequence. Each connection begins at another position, so that bytes that appear
// on the wrong connection are detected too.
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

// Receives a stream of the sequence.
class PatternReader {
 public:
  enum class Look : std::uint8_t { samples, all };

  PatternReader() = default;
  explicit PatternReader(std::uint64_t stream) : cursor_(stream) {}

  // As recv(2) with a buffer of chunk_max bytes. The kernel discards unchecked bytes without a copy
  // (MSG_TRUNC, tcp(7)).
  ssize_t receive(int fd, std::span<std::byte> scratch, Look look);
  // Whether all checked bytes matched the sequence.
  bool intact() const { return intact_; }

 private:
  PatternCursor cursor_;
  unsigned turn_ = 0;
  bool intact_ = true;
};

}  // namespace sni::bench
