#pragma once

// SIGINT and SIGTERM as a flag: every loop of the bench checks it and returns, so that everything
// is torn down in the usual way.

namespace sni::bench {

// Also ignores SIGPIPE.
void catch_interrupts();
bool interrupted();
// In a forked child: signals end it again.
void restore_signals();

}  // namespace sni::bench
