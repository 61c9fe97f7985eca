#include "net/connect/upstream_dialog.h"

#include <cerrno>

namespace sni {
namespace {

AttemptError attempt_error(SocksError error) {
  switch (error) {
    case SocksError::none:
      return AttemptError::none;
    case SocksError::protocol:
      return AttemptError::upstream_protocol;
    case SocksError::no_method:
      return AttemptError::upstream_method;
    case SocksError::login_refused:
      return AttemptError::upstream_login;
    case SocksError::not_allowed:
      return AttemptError::upstream_forbids;
    case SocksError::network_unreachable:
      return AttemptError::upstream_network_unreachable;
    case SocksError::host_unreachable:
    case SocksError::ttl_expired:
      return AttemptError::upstream_host_unreachable;
    case SocksError::connection_refused:
      return AttemptError::upstream_refused;
    case SocksError::no_command:
    case SocksError::no_address_type:
      return AttemptError::upstream_unsupported;
    case SocksError::general:
    case SocksError::unknown_reply:
      break;
  }
  return AttemptError::upstream_failed;
}

}  // namespace

void UpstreamDialog::submit(Ring& ring, int fd, OpTag tag) {
  if (dialog_.state() == SocksDialog::State::send) {
    ring.send(fd, dialog_.outgoing(), 0, tag);
  } else {
    ring.read(fd, dialog_.incoming(), tag);
  }
}

std::optional<AttemptError> UpstreamDialog::on_completion(std::int32_t result) {
  // A kernel thread that is cancelled while it waits returns -EINTR.
  if (result == -ECANCELED || result == -EINTR || result == -ETIMEDOUT) {
    return AttemptError::no_answer;
  }
  if (result == -EAGAIN) return std::nullopt;
  if (result <= 0) return AttemptError::upstream_closed;
  const auto count = static_cast<std::size_t>(result);
  if (dialog_.state() == SocksDialog::State::send) {
    dialog_.sent(count);
  } else {
    dialog_.received(count);
  }
  switch (dialog_.state()) {
    case SocksDialog::State::send:
    case SocksDialog::State::receive:
      return std::nullopt;
    case SocksDialog::State::connected:
      return AttemptError::none;
    case SocksDialog::State::failed:
      break;
  }
  return attempt_error(dialog_.error());
}

}  // namespace sni
