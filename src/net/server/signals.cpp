#include "net/server/signals.h"

#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

namespace sni {

namespace {

sigset_t handled_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2}) {
    sigaddset(&set, number);
  }
  return set;
}

}  // namespace

void block_signals() {
  const sigset_t set = handled_signals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

void unblock_signals() {
  const sigset_t set = handled_signals();
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

Result<UniqueFd> take_signals() {
  const sigset_t set = handled_signals();
  signal(SIGPIPE, SIG_IGN);
  UniqueFd fd = UniqueFd::adopt(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) return fail_sys("cannot open a signalfd", errno);
  return fd;
}

SignalsCome read_signals(const UniqueFd& signals) {
  SignalsCome come;
  signalfd_siginfo received;
  while (read(signals.get(), &received, sizeof received) == sizeof received) {
    switch (received.ssi_signo) {
      case SIGHUP:
        come.reload = true;
        break;
      case SIGTERM:
      case SIGINT:
      case SIGQUIT:
        ++come.ends;
        break;
      case SIGUSR1:
        come.reopen = true;
        break;
      default:  // SIGUSR2.
        break;
    }
  }
  return come;
}

}  // namespace sni
