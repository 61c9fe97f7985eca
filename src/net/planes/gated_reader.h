#pragma once

// Performs what core/session/gate decides for a backend behind the gate. Passed bytes may enter the
// client's send queue only after the backlog, so a send to the client waits in the same way.

#include <optional>

#include "core/session/gate.h"
#include "core/session/session.h"
#include "net/loop/loop.h"
#include "net/loop/sockets.h"

namespace sni {

class GatedReader {
 public:
  // `length`: bytes to ask for at most.
  void start_receive(Loop& loop, const Sockets& sockets, PlaneTicket ticket, std::uint32_t length);
  // What a completion of the armed receive means.
  enum class Result : std::uint8_t { wait, deliver, again, eof, reset };
  // wait: it continues as another operation.
  Result on_receive(Loop& loop, const Sockets& sockets, PlaneTicket ticket, std::uint32_t length,
                    const Completion& completion);

  // Whether the send is put off: its completion then only means that it may be tried again.
  bool holds_back_send(Loop& loop, const Sockets& sockets, PlaneTicket ticket);
  bool take_pause() { return std::exchange(send_paused_, false); }

 private:
  void arm(Loop& loop, const Sockets& sockets, Gate::Step step, std::uint32_t length);

  Gate gate_;
  bool send_paused_ = false;
};

}  // namespace sni
