#pragma once

// The dialog with a SOCKS5 server over the ring: core/socks5 says what to send and to receive, and
// this performs it. It uses the tag of the preceding connect, so that for all other code the
// connect lasts until the server has reached the backend. One request is in flight at a time; its
// memory is here and stays until the completion.

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

  // Submits the next request. To be called first of all, and after each completion that returned
  // nullopt.
  void submit(Ring& ring, int fd, OpTag tag);

  // The result: none if the backend is reached, no_answer if cancelled; nullopt: the dialog goes
  // on.
  std::optional<AttemptError> on_completion(std::int32_t result);

  // The server is trying to reach the backend.
  bool asked() const { return dialog_.asked(); }

 private:
  SocksDialog dialog_;
};

}  // namespace sni
