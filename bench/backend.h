#pragma once

// The backend of the bench: reads a ClientHello and a Command from each connection and does what
// the command says (wire.h). It comes in two styles, because a fast path that writes for the
// backend behaves differently with each: `event` is one thread that never blocks in a write (nginx,
// Node, Go), `blocking` is one thread per connection that does.

#include <netinet/in.h>

#include <cstdint>
#include <span>
#include <vector>

#include "bench/pattern.h"
#include "bench/wire.h"
#include "core/error.h"
#include "core/unique_fd.h"

namespace sni::bench {

enum class BackendStyle : std::uint8_t { event, blocking };

// Listening sockets on the consecutive ports, in the network namespace of the caller.
Result<std::vector<UniqueFd>> listen_on(in_addr address, std::uint16_t first_port,
                                        std::uint16_t count);

// Serve until killed.
[[noreturn]] void serve_events(std::span<const UniqueFd> listeners, Ledger& ledger);
[[noreturn]] void serve_blocking(std::span<const UniqueFd> listeners, Ledger& ledger);

// Collects the first bytes of a connection, hello and command.
class Opening {
 public:
  enum class State : std::uint8_t { incomplete, complete, broken };

  // How many bytes to read next: never more than belong to hello and command.
  std::size_t wanted() const { return needed_ - bytes_.size(); }
  State append(std::span<const std::byte> bytes);
  const Command& command() const { return command_; }

 private:
  static constexpr std::size_t hello_max = 16 * 1024;
  std::vector<std::byte> bytes_;
  std::size_t needed_ = 5;  // A TLS record header; then the record and the command.
  Command command_;
};

// How a sink checks a stream, which runs at full speed until its client stops it.
inline PatternReader::Look look_at(const LedgerSlot& slot) {
  return slot.stop != 0 ? PatternReader::Look::all : PatternReader::Look::samples;
}

// Bytes that a paced sender gives to the kernel at once, and its pace: the bytes due at `now`.
inline constexpr std::uint64_t pace_bytes = 128 * 1024;
struct Pace {
  std::uint64_t bytes_per_second = 0;  // 0: unpaced.
  std::uint64_t start_ns = 0;

  std::uint64_t due(std::uint64_t now) const;
  // When `bytes` in total will be due.
  std::uint64_t when(std::uint64_t bytes) const;
};

}  // namespace sni::bench
