#pragma once

// SIGINT and SIGTERM as a flag: every loop of the bench looks at it and returns, so that what was
// built is taken down in the ordinary way.

namespace sni::bench {

// Also ignores SIGPIPE.
void catch_interrupts();
bool interrupted();
// In a forked child: signals end it again.
void restore_signals();

}  // namespace sni::bench
