#pragma once

// What a completion belongs to, packed into the 64 bits of io_uring's user_data. Identity is slot
// and generation, never a descriptor: numbers of closed descriptors are reused.

#include <bit>
#include <cstdint>

#include "core/session/session.h"

namespace sni {

enum class Op : std::uint8_t {
  receive,
  send,
  connect,
  watch,     // Poll for a reset.
  accept,    // slot: the listener.
  resolver,  // Poll of a resolver socket; slot: its descriptor.
  wake,      // Read of the worker's eventfd.
  notice,    // Poll of the SOCKHASH plane's ring buffer.
  packet,    // Poll of the packet plane's inbox.
  cancel,    // Its own completion adds nothing to that of the cancelled operation.
};

struct OpTag {
  Op op = Op::cancel;
  // Zero if omitted in braces. GCC 12 rejects braces if bit-fields have initialisers.
  Side side : 1;
  std::uint8_t attempt : 7;  // connect: which attempt.
  std::uint16_t generation = 0;
  std::uint32_t slot = 0;
};
static_assert(sizeof(OpTag) == sizeof(std::uint64_t));

inline std::uint64_t pack(OpTag tag) {
  return std::bit_cast<std::uint64_t>(tag);
}
inline OpTag unpack(std::uint64_t bits) {
  return std::bit_cast<OpTag>(bits);
}

}  // namespace sni
