// The main program of each layer's tests.

#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <csignal>
#include <cstdlib>

#include "support/skip.h"

int main(int argc, char** argv) {
  constexpr int skip_status = 77;  // SKIP_RETURN_CODE in tests/CMakeLists.txt.
  // As the proxy does: splice(2) to a socket that was reset raises it, and knows no MSG_NOSIGNAL.
  std::signal(SIGPIPE, SIG_IGN);
  doctest::Context context(argc, argv);
  const int status = context.run();
  if (status != 0 || context.shouldExit() || sni::test::skips == 0) return status;
  return std::getenv("CI") != nullptr ? EXIT_FAILURE : skip_status;
}
