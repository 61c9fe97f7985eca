#pragma once

// A client that is not served gets an alert or an HTTP error. Then its input is discarded until it
// closes, within bounds: a close with unread input would send an RST and could destroy the answer.

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "core/config/config.h"
#include "core/session/session.h"
#include "net/loop/loop.h"
#include "net/loop/sockets.h"

namespace sni {

class Answering {
 public:
  // Both references outlive the object.
  Answering(Loop& loop, const Sockets& sockets, std::string answer)
      : loop_(loop), sockets_(sockets), answer_(std::move(answer)) {}

  // To the session this is the pipe from the backend's side.
  void start_send();
  Event on_sent(const Completion& completion);
  void start_receive();
  Event on_received(const Completion& completion);

 private:
  Loop& loop_;
  const Sockets& sockets_;
  const std::string answer_;     // A few hundred bytes.
  std::size_t sent_ = 0;         // Bytes of it sent.
  std::uint32_t discarded_ = 0;  // Bytes of input discarded.
};

}  // namespace sni
