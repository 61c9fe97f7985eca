#pragma once

// The requests of `sni-proxy block`, `unblock` and `blocklist` over the control socket:
//
//   {"command": "block", "prefix": "192.0.2.0/24", "for_s": 600}     for_s is optional
//     -> {"prefix": "192.0.2.0/24"}
//   {"command": "unblock", "prefix": "192.0.2.0/24"}
//     -> {"was_blocked": true, "configured": false, "bans": [...], "still_by": [...]}
//   {"command": "blocklist", "from": 0}
//     -> {"entries": [{"prefix": ..., "kind": "block" | "allow" | "ban", "left_s": 42, ...}, ...],
//         "next": 1000}                                  next: where the next page begins, or null
//   {"command": "blocklist_hits"}
//     -> {"hits": [{"prefix": ..., "packets": 5, "kind": ...}, ...], "more": 0}

#include "net/control/control_socket.h"
#include "net/guard/guard.h"

namespace sni {

class GuardCommands : public ControlCommands {
 public:
  // `guard` outlives the commands.
  explicit GuardCommands(Guard& guard) : guard_(guard) {}
  bool run(std::string_view command, const nlohmann::json& request,
           const ControlReply& reply) override;

 private:
  Guard& guard_;
};

}  // namespace sni
