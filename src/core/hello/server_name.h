#pragma once

// Host names as clients send them (SNI, Host), brought into the one form that routes are looked up
// by: lower case, no trailing dot.
//
// A name is labels of 1..63 letters, digits, hyphens and underscores (which real hosts have, though
// RFC 952 does not) and at most 253 characters. Anything else is refused rather than passed on,
// since it goes into logs and, with "{name}" backends, into DNS.
//
// An address literal is no name: RFC 6066 section 3 does not permit one in SNI, and in a Host it
// names nobody. The clients that send one are otherwise sound, so they count as clients that sent
// no name (the "*" route serves them), and a literal never becomes the target of a "{name}"
// backend. By the same reason every name whose last label is a number counts as a literal: "127.1"
// and "0x7f000001" are addresses to inet_aton(), and no top-level domain is numeric (RFC 3696
// section 2).

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "core/limits.h"

namespace sni {

// Why a name is not usable as one, for the log.
enum class NameProblem : std::uint8_t {
  none,
  empty,
  address,    // RFC 6066 3 allows none; served as no name.
  port,       // "a.example:443".
  not_ascii,  // RFC 6066 3: internationalized names come as A-labels.
  too_long,   // A label, or the whole.
  syntax,     // Characters that no host name has, or empty labels.
};
// Reads on after the name: "has a port".
std::string_view to_string(NameProblem problem);
// `text` is a name that canonical_server_name() has refused, or found to be an address.
NameProblem name_problem(std::string_view text);
// "a.example" of "a.example:443"; `text` itself where there is no port, or more than one colon.
std::string_view without_port(std::string_view text);

// Writes the canonical form of `text` to `out` and returns its length; 0: an address literal, which
// is no name. nullopt: neither.
std::optional<std::uint8_t> canonical_server_name(std::string_view text,
                                                  std::span<char, limits::server_name_max> out);

}  // namespace sni
