#pragma once

// A user of this host.

#include <sys/types.h>

#include <optional>
#include <string>

namespace sni {

struct UserId {
  uid_t uid = 0;
  gid_t gid = 0;  // Of the user's own group.
};

// Looks up a name or a decimal number; nullopt: there is no such user. May ask a directory service,
// so use it only at the start and for reloads.
std::optional<UserId> user_id(const std::string& name);

}  // namespace sni
