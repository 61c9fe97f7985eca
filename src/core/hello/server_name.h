#pragma once

// Host names as clients send them (SNI, Host), converted to the canonical form that routes are
// looked up by: lower case, no trailing dot.
//
// A name has labels of 1..63 letters, digits, hyphens and underscores (real hosts use them,
// although RFC 952 does not allow them) and at most 253 characters. Anything else is refused, since
// names go into logs and, with "{name}" backends, into DNS.
//
// An address literal is not a name: RFC 6066 section 3 does not permit one in SNI, and in a Host it
// names no host. Clients that send one are otherwise valid, so they count as clients without a name
// (the "*" route serves them), and a literal never becomes the target of a "{name}" backend. For
// the same reason every name whose last label is a number counts as a literal: inet_aton() reads
// "127.1" and "0x7f000001" as addresses, and no top-level domain is numeric (RFC 3696 section 2).

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "core/limits.h"

namespace sni {

// Why a name cannot be used, for the log.
enum class NameProblem : std::uint8_t {
  none,
  empty,
  address,    // RFC 6066 3 allows none; served as a client without a name.
  number,     // "1.2.3.4.5", "a.123": its last label is a number, so it is treated like an address.
  port,       // "a.example:443".
  not_ascii,  // RFC 6066 3: internationalized names come as A-labels.
  too_long,   // A label, or the whole name.
  syntax,     // Invalid characters, or empty labels.
};
// Continues a sentence after the name: "has a port".
std::string_view to_string(NameProblem problem);
// `text` is a name that canonical_server_name() has refused, or found to be an address.
NameProblem name_problem(std::string_view text);
// "a.example" for "a.example:443"; `text` itself if it has no port, or more than one colon.
std::string_view without_port(std::string_view text);

// Writes the canonical form of `text` to `out` and returns its length; 0: an address literal.
// nullopt: neither a name nor an address.
std::optional<std::uint8_t> canonical_server_name(std::string_view text,
                                                  std::span<char, limits::server_name_max> out);

}  // namespace sni
