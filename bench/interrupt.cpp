#include "bench/interrupt.h"

#include <csignal>
#include <initializer_list>

namespace sni::bench {
namespace {

volatile std::sig_atomic_t caught = 0;

void set_handler(int signal, void (*handler)(int)) {
  struct sigaction action{};
  action.sa_handler = handler;  // Without SA_RESTART: blocking calls return with EINTR.
  ::sigaction(signal, &action, nullptr);
}

}  // namespace

void catch_interrupts() {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) set_handler(signal, [](int) { caught = 1; });
  set_handler(SIGPIPE, SIG_IGN);
}

bool interrupted() {
  return caught != 0;
}

void restore_signals() {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) set_handler(signal, SIG_DFL);
}

}  // namespace sni::bench
