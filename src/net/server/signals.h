#pragma once

// The signals that this process takes, as a descriptor:
//
//   SIGTERM, SIGINT, SIGQUIT   drain, and end at the second one (images for nginx send SIGQUIT)
//   SIGHUP                     reload
//   SIGUSR1                    open the access file anew, as logrotate's users expect
//   SIGUSR2                    nothing
//
// From take_signals() on none of them acts by itself, so what comes before the start is over waits.

#include "core/error.h"
#include "core/unique_fd.h"

namespace sni {

// Blocks them in the calling thread, which must have started no other yet:
// threads inherit it. The descriptor is readable when one has come.
Result<UniqueFd> take_signals();

// What came since the last call.
struct SignalsCome {
  int ends = 0;         // SIGTERM, SIGINT, SIGQUIT
  bool reload = false;  // SIGHUP
  bool reopen = false;  // SIGUSR1
};
SignalsCome read_signals(const UniqueFd& signals);

}  // namespace sni
