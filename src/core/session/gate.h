#pragma once

// What it means to receive from a backend whose bytes the kernel redirects behind the gate
// (net/planes/plane_sockhash.h). The session sees one armed receive, whose result comes later. In
// fact one of the following is armed:
//
//   sleep  a poll for the hang-up alone, since POLLIN would wake us for every segment; a notice
//          that bytes have passed cancels it
//   bytes  a receive that does not wait: passed bytes, the FIN or the reset
//   pause  a short wait, because bytes are announced that cannot be read yet
//   end    a short wait, because the FIN is here and the backlog has not left yet; no event tells
//          when it has
//
//   armed | woken   hung up   bytes     nothing  FIN      time     failed
//   ------+---------------------------------------------------------------
//   sleep | again   -> bytes  deliver   deliver  deliver  deliver  deliver
//   bytes | again   deliver   deliver   -> pause end?     deliver  deliver
//   pause | again   deliver   deliver   deliver  deliver  again    deliver
//   end   | again   deliver   deliver   deliver  deliver  end?     deliver
//
// deliver: the completion goes to the relay as it is. again: the receive has ended without a result
// and must be started again. end?: end of file where nothing passed is left unread and the backlog
// is drained, else -> end (or again, where bytes have passed).

#include <cstdint>

namespace sni {

class Gate {
 public:
  enum class Armed : std::uint8_t { bytes, sleep, pause, end };
  // How the armed operation completed.
  enum class Outcome : std::uint8_t { woken, hung_up, bytes, nothing, fin, time, failed };
  enum class Step : std::uint8_t {
    arm_receive,  // Arm this; the session learns nothing yet.
    arm_sleep,
    arm_pause,
    deliver,  // The session learns what the completion says,
    again,    // that it said nothing,
    eof,      // that the backend has ended and all of its bytes have left,
    reset,    // or that bytes are lost and both sides must be reset.
  };
  // The kernel's state at that moment.
  struct Facts {
    bool pending = false;  // Bytes have passed that nobody has read.
    bool torn = false;     // Some of them are lost.
    // All that arrived was read or redirected, and has reached the send queue.
    bool drained = false;
  };

  // Starts a receive. `quiet`: no bytes are pending, and the next ones will wake us.
  Step start(bool quiet);
  Step on(Outcome outcome, const Facts& facts);
  Armed armed() const { return armed_; }

 private:
  Step at_end(const Facts& facts);

  Armed armed_ = Armed::bytes;
};

}  // namespace sni
