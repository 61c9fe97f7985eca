#pragma once

// The id of a group of this host.

#include <sys/types.h>

#include <optional>
#include <string>

namespace sni {

// Looks up a name or a decimal number; nullopt: there is no such group. May ask a directory
// service, so use it only at the start and for reloads.
std::optional<gid_t> group_id(const std::string& name);

}  // namespace sni
