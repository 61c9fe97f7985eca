#pragma once

// The dialog with a SOCKS5 server over a connection to it, by the ring: core/socks5 says what to
// send and to receive, and this performs it under the tag of the connect that has gone before, so
// that to everybody else the connect lasts until the server has reached the backend. One request is
// in flight at a time; its memory is here and stays until the completion.

#include <cstdint>
#include <optional>

#include "core/route/attempt.h"
#include "core/socks5/socks_dialog.h"
#include "net/loop/ring.h"

namespace sni {

class UpstreamDialog {
 public:
  // `login` outlives the dialog.
  UpstreamDialog(const SocksTarget& target, const SocksLogin& login) : dialog_(target, login) {}
  UpstreamDialog(const UpstreamDialog&) = delete;  // The kernel has its address.
  UpstreamDialog& operator=(const UpstreamDialog&) = delete;

  // Asks the ring for what comes next. Before the first completion, and after each that has given
  // nullopt.
  void submit(Ring& ring, int fd, OpTag tag);

  // What came of it: none where the backend is reached, no_answer where it was cancelled; nullopt:
  // the dialog goes on.
  std::optional<AttemptError> on_completion(std::int32_t result);

 private:
  SocksDialog dialog_;
};

}  // namespace sni
