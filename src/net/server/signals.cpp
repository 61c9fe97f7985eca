#include "net/server/signals.h"

#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

namespace sni {

Result<UniqueFd> take_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2}) {
    sigaddset(&set, number);
  }
  if (const int error = pthread_sigmask(SIG_BLOCK, &set, nullptr); error != 0) {
    return fail_sys("cannot block signals", error);
  }
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
