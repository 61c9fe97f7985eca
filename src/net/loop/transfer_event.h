#pragma once

// Translates the result of a receive or a send into the session's event, for requests to the ring,
// splice(2) and our own answers. Results are the kernel's: bytes or a negative errno.

#include <cstdint>
#include <optional>

#include "core/session/session.h"

namespace sni {

// A receive from `side`: cancelled, receive_again, eof or reset. nullopt: `result` bytes arrived.
std::optional<Event> event_of_receive(Side side, std::int32_t result);

// A send of what pipe `side` holds: cancelled, send_failed, or blocked if nothing was sent and it
// must be tried again. nullopt: `result` bytes were sent.
std::optional<Event> event_of_send(Side side, std::int32_t result);

}  // namespace sni
