#pragma once

// The journal of systemd by its native protocol: one datagram an entry, made of fields, one a line
// (https://systemd.io/JOURNAL_NATIVE_PROTOCOL). An access line's members become fields with the
// prefix SNI_, so that `journalctl SNI_SERVER_NAME=www.example.com` finds connections.

#include <sys/un.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "core/unique_fd.h"

namespace sni {

// The datagram of a log line as net/log.cpp formats it for the journal, without its newline:
// "<6>2026-01-01T00:00:00.000+00:00 info text", or the priority and a JSON object. The journal
// notes time and level by itself, so MESSAGE has neither.
std::string journal_entry(std::string_view line);

class Journal {
 public:
  // nullopt: nobody listens there.
  static std::optional<Journal> open(const std::string& path = "/run/systemd/journal/socket");

  // Sends whole lines, each with its newline; waits while the journal is busy. Returns the rest that
  // the journal does not take.
  std::string_view write(std::string_view lines) const;

 private:
  Journal(UniqueFd socket, const sockaddr_un& address)
      : socket_(std::move(socket)), address_(address) {}

  UniqueFd socket_;
  sockaddr_un address_;  // Of each datagram, since the journal may be restarted.
};

}  // namespace sni
