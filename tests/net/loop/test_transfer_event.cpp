#include "net/loop/transfer_event.h"

#include <doctest/doctest.h>

#include <cerrno>

using namespace sni;
using Kind = Event::Kind;

TEST_CASE("what a receive brings that has no bytes") {
  struct Row {
    std::int32_t result;
    Kind kind;
    bool lost;
  };
  for (const Row& row :
       {Row{0, Kind::eof, false}, Row{-ECANCELED, Kind::cancelled, false},
        Row{-EAGAIN, Kind::receive_again, false}, Row{-EINTR, Kind::receive_again, false},
        Row{-ENOBUFS, Kind::receive_again, false}, Row{-ENOMEM, Kind::receive_again, false},
        Row{-ECONNRESET, Kind::reset, false}, Row{-ETIMEDOUT, Kind::reset, true},
        Row{-EHOSTUNREACH, Kind::reset, true}}) {
    CAPTURE(row.result);
    for (const Side side : {Side::client, Side::backend}) {
      const auto event = event_of_receive(side, row.result);
      REQUIRE(event);
      CHECK(event->kind == row.kind);
      CHECK(event->side == side);
      CHECK(event->lost == row.lost);
      if (row.kind == Kind::cancelled) CHECK(event->operation == Operation::receive);
    }
  }
  CHECK_FALSE(event_of_receive(Side::client, 1));
}

TEST_CASE("what becomes of a send that takes no bytes") {
  struct Row {
    std::int32_t result;
    Kind kind;
    bool lost;
  };
  for (const Row& row :
       {Row{-ECANCELED, Kind::cancelled, false}, Row{-EAGAIN, Kind::blocked, false},
        Row{-EINTR, Kind::blocked, false}, Row{-ENOBUFS, Kind::blocked, false},
        Row{-ENOMEM, Kind::blocked, false}, Row{-EPIPE, Kind::send_failed, false},
        Row{-ECONNRESET, Kind::send_failed, false}, Row{-ETIMEDOUT, Kind::send_failed, true}}) {
    CAPTURE(row.result);
    const auto event = event_of_send(Side::backend, row.result);
    REQUIRE(event);
    CHECK(event->kind == row.kind);
    CHECK(event->side == Side::backend);
    CHECK(event->lost == row.lost);
    if (row.kind == Kind::cancelled) CHECK(event->operation == Operation::send);
  }
  CHECK_FALSE(event_of_send(Side::backend, 0));
  CHECK_FALSE(event_of_send(Side::backend, 1));
}
