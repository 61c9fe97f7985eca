#pragma once

// What the result of a receive or a send means to the session, in one place: by a request to the
// ring, by splice(2), or for an answer of our own. Results are as the kernel gives them, bytes or a
// negative errno.

#include <cstdint>
#include <optional>

#include "core/session/session.h"

namespace sni {

// A receive from `side`: cancelled, receive_again, eof or reset. nullopt: `result` bytes came.
std::optional<Event> event_of_receive(Side side, std::int32_t result);

// A send of what pipe `side` holds: cancelled, send_failed, or blocked where nothing went out and it
// is to be tried again. nullopt: `result` bytes went out.
std::optional<Event> event_of_send(Side side, std::int32_t result);

}  // namespace sni
