#pragma once

// haproxy's conditions on the server name: ACLs, and expressions in braces.

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"

namespace sni {

// The clients that a condition matches.
struct HaproxyMatch {
  bool everybody = false;          // Every client that sends a hello.
  std::vector<std::string> names;  // In the form of a route's names.
};

// By the name of the ACL; further lines of the same name add to it.
using HaproxyAcls = std::map<std::string, Result<HaproxyMatch>, std::less<>>;

// An expression: a criterion, its flags and its values. Errors continue a sentence after the line.
Result<HaproxyMatch> haproxy_match(std::span<const std::string> expression);

// The words after "if": ACLs and expressions, any of which may hold.
Result<HaproxyMatch> haproxy_condition(std::span<const std::string> words, const HaproxyAcls& acls);

}  // namespace sni
