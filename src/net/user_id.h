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

// By the name, or the number in decimal; nullopt: there is no such user. May ask a directory service,
// so it is for the start and for reloads.
std::optional<UserId> user_id(const std::string& name);

}  // namespace sni
