#pragma once

// The two sockets of a connection, and the identity of its requests in flight: slot and generation,
// never a descriptor.

#include <array>
#include <cstdint>

#include "core/unique_fd.h"
#include "net/loop/op.h"

namespace sni {

struct Sockets {
  std::array<UniqueFd, 2> fds;  // By side; the backend's is empty until one is connected.
  std::uint32_t slot = 0;
  std::uint16_t generation = 0;

  int fd(Side side) const { return fds[index(side)].get(); }
  OpTag tag(Op op, Side side) const {
    OpTag tag{.op = op, .generation = generation, .slot = slot};
    tag.side = side;  // In braces GCC 12 would report narrowing to one bit.
    return tag;
  }
};

}  // namespace sni
