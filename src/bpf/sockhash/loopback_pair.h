#pragma once

// Two TCP connections on loopback with room for a proxy between them, for the live self-test:
// client <-> client_side, backend_side <-> backend. All ends are nonblocking.

#include <cstdint>
#include <string>
#include <string_view>

#include "core/error.h"
#include "core/unique_fd.h"

namespace sni {

struct LoopbackPair {
  UniqueFd listener;
  UniqueFd client;
  UniqueFd client_side;
  UniqueFd backend_side;
  UniqueFd backend;
};

// The client's connection, and the proxy's socket to the backend before it connects. The client's
// receive buffer is small, so that it soon fills when the client does not read.
Result<LoopbackPair> make_loopback_pair();
// The connection to the backend.
Result<void> connect_backend(LoopbackPair& pair);
// Ends that connection, for another one to the same listener.
Result<void> renew_backend_side(LoopbackPair& pair);

// A byte stream without a short period, so that lost, repeated or moved pieces are detected.
std::string test_stream(std::uint64_t offset, std::size_t size);

// Sends all of it; false if the socket accepts nothing for `timeout_ms`.
bool send_within(int fd, std::string_view bytes, int timeout_ms);

// Receives `size` bytes, or fewer at end of file or when nothing arrives for `timeout_ms`.
std::string receive_within(int fd, std::size_t size, int timeout_ms);

}  // namespace sni
