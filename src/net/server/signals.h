#pragma once

// The signals that this process handles, as a descriptor:
//
//   SIGTERM, SIGINT, SIGQUIT drain, or end at the second one (images for nginx send SIGQUIT)
//   SIGHUP                     reload
//   SIGUSR1                    reopen the access file, as logrotate's users expect
//   SIGUSR2                    nothing
//
// After block_signals() none of them has its default action, so signals during the start stay
// pending.

#include "core/error.h"
#include "core/unique_fd.h"

namespace sni {

// The calling thread must not have started others yet: threads inherit the mask.
void block_signals();
// For a process that is not to be the proxy: signals end it, those that came meanwhile too.
void unblock_signals();

// The blocked signals: readable when one is pending.
Result<UniqueFd> take_signals();

// Signals since the last call.
struct SignalsCome {
  int ends = 0;         // SIGTERM, SIGINT, SIGQUIT
  bool reload = false;  // SIGHUP
  bool reopen = false;  // SIGUSR1
};
SignalsCome read_signals(const UniqueFd& signals);

}  // namespace sni
