#pragma once

// The number of a group of this host.

#include <sys/types.h>

#include <optional>
#include <string>

namespace sni {

// By its name, or its number in decimal; nullopt: there is no such group. May ask a directory
// service, so it is for the start and for reloads.
std::optional<gid_t> group_id(const std::string& name);

}  // namespace sni
