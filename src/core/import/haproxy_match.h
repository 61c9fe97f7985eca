#pragma once

// What haproxy's conditions say of the server name: ACLs, and expressions in braces.

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"

namespace sni {

// Clients that a condition is about.
struct HaproxyMatch {
  bool everybody = false;          // Whoever sends a hello.
  std::vector<std::string> names;  // Of a route.
};

// By the name of the ACL; a further line of a name adds to it.
using HaproxyAcls = std::map<std::string, Result<HaproxyMatch>, std::less<>>;

// An expression: a criterion, its flags and its values. An Error reads on after the line.
Result<HaproxyMatch> haproxy_match(std::span<const std::string> expression);

// What stands behind "if": ACLs and expressions, of which any may hold.
Result<HaproxyMatch> haproxy_condition(std::span<const std::string> words, const HaproxyAcls& acls);

}  // namespace sni
