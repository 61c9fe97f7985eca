#pragma once

// The protocol between the load generator and the backend.
//
// A client sends a ClientHello and, right after it, a Command. The backend discards the hello and
// executes the command. The command is in-band, so any proxy works unmodified.
//
// Byte counts of each side and the order to stop go through the Ledger, memory that both processes
// share. So the check that everything arrived does not depend on the proxy, and proxies that do not
// forward a half-close can be measured too.

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "core/error.h"

namespace sni::bench {

enum class Op : std::uint32_t {
  echo,    // Each message of message_bytes is sent back whole.
  answer,  // message_bytes of pattern are sent, then the backend closes first (see
           // load_connections).
  stream,  // Pattern bytes: source to the client, sink from it, or both.
  hold,    // One byte is sent, then nothing.
};

struct Command {
  static constexpr std::uint32_t magic_value = 0x534e4942;
  std::uint32_t magic = magic_value;
  Op op = Op::echo;
  std::uint32_t message_bytes = 0;
  std::uint32_t slot = 0;    // Index into the ledger; also names the pattern's stream.
  std::uint32_t source = 0;  // stream: 1 when the backend sends.
  std::uint32_t pad = 0;
  std::uint64_t bytes_per_second = 0;  // stream: pace of the source; 0: as fast as it goes.
  std::uint64_t bytes_max = 0;         // stream: where the source stops by itself; 0: nowhere.
};
static_assert(sizeof(Command) == 40);

// The record of one stream. Single writer per field.
struct LedgerSlot {
  std::atomic<std::uint64_t> sent;      // By the backend: bytes given to the kernel.
  std::atomic<std::uint64_t> received;  // By the backend.
  std::atomic<std::uint32_t> corrupt;   // By the backend: 1: bytes were not the pattern.
  std::atomic<std::uint32_t> stop;      // By the client: the source must stop.
  std::atomic<std::uint32_t> done;      // By the backend: the source has stopped; `sent` is final.
};

// Anonymous shared memory, mapped before the backends are forked.
class Ledger {
 public:
  static constexpr std::uint32_t slots = 4096;

  static Result<Ledger> create();
  Ledger(Ledger&& other) noexcept;
  Ledger& operator=(Ledger&&) = delete;
  ~Ledger();

  LedgerSlot& operator[](std::uint32_t index) const { return memory_[index % slots]; }
  // Takes the next slot and clears it. Slots are reused after `slots` streams, long after the
  // connection of a slot is gone.
  std::uint32_t take();

 private:
  explicit Ledger(LedgerSlot* memory) : memory_(memory) {}
  LedgerSlot* memory_;
  std::uint32_t next_ = 0;
};

}  // namespace sni::bench
