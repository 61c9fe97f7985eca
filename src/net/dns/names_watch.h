#pragma once

// Says when /etc/hosts or /etc/resolv.conf may have changed (inotify), so that a new DHCP lease or
// VPN, or a line added by hand, needs no signal.
//
// Theory of operation: a file is replaced by rename() (most editors, NetworkManager, resolvconf),
// written in place (Docker, whose files are bind mounts: the directory above them sees nothing), or
// a symbolic link to a file in another directory (systemd-resolved) that is replaced there. So both
// directories and the file itself are watched, and watched again after each change, since the path
// may then lead to another file. Programs write in several steps, so changes are reported together,
// a fifth of a second after the first. A file that is missing is looked for every two seconds. The
// caller finds out whether any value has changed.

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "core/unique_fd.h"
#include "net/dns/system_names.h"

namespace sni {

class NamesWatch {
 public:
  static Result<NamesWatch> open(const SystemNamesPaths& paths = {});

  // Readable when take() is to be called.
  int fd() const { return both_.get(); }
  // Whether the files may have changed since the last time that it said so.
  bool take();

 private:
  NamesWatch() = default;
  void watch_all();
  bool read_events();
  bool is_ours(std::string_view name) const;
  void look_in(std::chrono::milliseconds delay);

  std::vector<std::string> paths_;
  UniqueFd changes_;  // inotify.
  UniqueFd settled_;  // A timer: a moment after the first change, or for a missing file.
  UniqueFd both_;     // epoll over both.
  bool settling_ = false;
};

}  // namespace sni
