#include "core/hello/http_host.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <string_view>

#include "core/ascii.h"
#include "core/hello/server_name.h"

namespace sni {
namespace {

constexpr std::string_view crlf = "\r\n";

// Up to the first space; empty: there is none yet.
std::string_view method_of(std::span<const std::uint8_t> bytes) {
  std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.starts_with(crlf)) text.remove_prefix(crlf.size());
  const std::size_t end = text.find(' ');
  return end == std::string_view::npos ? std::string_view() : text.substr(0, end);
}

// RFC 9110 5.6.2.
constexpr bool is_token_char(char c) {
  return is_letter(c) || is_digit(c) || std::string_view("!#$%&'*+-.^_`|~").contains(c);
}

bool is_token(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, is_token_char);
}

// Bytes from 0x80 on are obs-text (RFC 9110 5.5) and are allowed in a field.
constexpr bool is_control(std::uint8_t byte) {
  return byte < 0x20 || byte == 0x7f;
}

// RFC 9110 5.6.3: optional whitespace around a field's value.
std::string_view trim(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t");
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

// Takes the text before `separator` and removes both; nullopt: there is no separator.
std::optional<std::string_view> cut(std::string_view& text, std::string_view separator) {
  const std::size_t end = text.find(separator);
  if (end == text.npos) return std::nullopt;
  const std::string_view before = text.substr(0, end);
  text.remove_prefix(end + separator.size());
  return before;
}

// RFC 3986 3.2.3: digits, and an empty port is legal.
bool is_port_or_empty(std::string_view text) {
  return text.size() <= 5 && std::ranges::all_of(text, is_digit);
}

// uri-host [":" port] (RFC 9110 7.2) into the flight's name. An empty one is no name: a client
// sends it if its target has no authority.
bool read_authority(std::string_view authority, FirstFlight& flight) {
  flight.name_length = 0;
  flight.raw_name = {};
  if (authority.empty()) return true;
  if (authority.starts_with('[')) {
    flight.raw_name = authority.substr(0, authority.find(']') + 1);
    authority.remove_prefix(1);
    const auto literal = cut(authority, "]");
    // RFC 3986 3.2.2: an IPv6 address, or IPvFuture with other characters; neither is a name.
    if (!literal || literal->empty() || literal->find_first_of("/?#@[ ") != literal->npos) {
      return false;
    }
    return authority.empty() ||
           (authority.starts_with(':') && is_port_or_empty(authority.substr(1)));
  }
  const std::size_t colon = authority.find(':');
  if (colon != authority.npos && !is_port_or_empty(authority.substr(colon + 1))) return false;
  flight.raw_name = authority.substr(0, colon);
  const auto length = canonical_server_name(flight.raw_name, flight.name_bytes);
  if (length) flight.name_length = *length;
  return length.has_value();
}

// RFC 9112 3.2: the four forms of a request target. One that names a host sets the flight's name.
bool read_target(std::string_view method, std::string_view target, FirstFlight& flight) {
  if (method == "CONNECT") return !target.empty() && read_authority(target, flight);
  if (target == "*") return true;
  flight.target = "/";
  if (target.starts_with('/')) {
    flight.target = target;
    return true;
  }
  const auto scheme = cut(target, "://");
  if (!scheme ||
      (!equal_ignoring_case(*scheme, "http") && !equal_ignoring_case(*scheme, "https"))) {
    return false;
  }
  // An authority ends at the path, query or fragment. User information ("user@host", RFC 9110
  // 4.2.4: an error) is not valid in a host, and the authority must not be empty (RFC 9110 4.2.1).
  const std::string_view authority = target.substr(0, target.find_first_of("/?#"));
  const std::string_view path = target.substr(authority.size());
  if (path.starts_with('/') || path.starts_with('?')) flight.target = path;
  return !authority.empty() && read_authority(authority, flight);
}

// The value of the one Host field; `host` is unchanged if there is none. False: the fields are
// malformed.
bool find_host(std::string_view fields, std::optional<std::string_view>& host) {
  while (!fields.empty()) {
    const auto line = cut(fields, crlf);
    if (!line) return false;
    if (line->empty()) return fields.empty();
    std::string_view value = *line;
    // A folded line and a space before the colon both fail here: neither is a token.
    const auto name = cut(value, ":");
    if (!name || !is_token(*name)) return false;
    if (!equal_ignoring_case(*name, "host")) continue;
    if (host) return false;
    host = trim(value);
  }
  return true;
}

struct Version {
  char major;
  char minor;
};

// "HTTP/" DIGIT "." DIGIT (RFC 9112 2.3).
std::optional<Version> read_version(std::string_view text) {
  if (text.size() != 8 || !text.starts_with("HTTP/") || text[6] != '.') return std::nullopt;
  if (!is_digit(text[5]) || !is_digit(text[7])) return std::nullopt;
  return Version{.major = text[5], .minor = text[7]};
}

}  // namespace

std::expected<std::size_t, FlightError> scan_http_head(std::span<const std::uint8_t> bytes,
                                                       FlightProgress& progress) {
  const auto head = bytes.first(std::min(bytes.size(), limits::http_head_max));
  std::size_t& at = progress.position;
  const std::size_t begin = !head.empty() && head[0] == '\r' ? crlf.size() : 0;
  while (at < head.size()) {
    const std::uint8_t byte = head[at];
    if (at < begin) {
      if (byte != static_cast<std::uint8_t>(crlf[at])) {
        return std::unexpected(FlightError::malformed);
      }
      ++at;
    } else if (!progress.method_read) {
      progress.method_read = byte == ' ' && at > begin;
      if (!progress.method_read && !is_token_char(static_cast<char>(byte))) {
        // A line end is HTTP gone wrong. TLS begins with other bytes.
        const bool line_end = byte == '\r' || byte == '\n';
        return std::unexpected(line_end ? FlightError::malformed : FlightError::not_the_protocol);
      }
      ++at;
    } else if (byte == '\r') {
      if (!progress.target_read) return std::unexpected(FlightError::malformed);  // HTTP/0.9.
      if (at + 1 == head.size()) break;
      if (head[at + 1] != '\n') return std::unexpected(FlightError::malformed);
      const bool empty_line = head[at - 1] == '\n';
      at += 2;
      if (empty_line) return 0;
    } else if (is_control(byte) && byte != '\t') {
      return std::unexpected(FlightError::malformed);
    } else {
      progress.target_read |= byte == ' ';
      ++at;
    }
  }
  if (head.size() == limits::http_head_max) return std::unexpected(FlightError::oversized);
  return bytes.size() + 1;
}

std::expected<FirstFlight, FlightFault> parse_http_head(std::span<const std::uint8_t> head) {
  std::string_view rest(reinterpret_cast<const char*>(head.data()), head.size());
  const auto fault = [](FlightError error) {
    return std::unexpected(FlightFault{.error = error, .name = {}});
  };
  const auto malformed = fault(FlightError::malformed);
  if (rest.starts_with(crlf)) rest.remove_prefix(crlf.size());

  auto line = cut(rest, crlf);
  if (!line) return malformed;
  const auto method = cut(*line, " ");
  const auto target = method ? cut(*line, " ") : std::nullopt;
  if (!target || target->empty() || target->contains('\t')) return malformed;
  const auto version = read_version(*line);
  if (!version) return malformed;
  // Mainly the preface of HTTP/2 (RFC 9113 3.4: "PRI * HTTP/2.0"), which is designed to fail here.
  if (version->major != '1') return fault(FlightError::other_version);

  FirstFlight flight;
  std::optional<std::string_view> host;
  if (!find_host(rest, host)) return malformed;
  if (!host && version->minor != '0') return malformed;
  // RFC 9112 3.2: an invalid Host is an error even if the target decides.
  if (host && !read_authority(*host, flight)) {
    return std::unexpected(FlightFault{.error = FlightError::malformed, .name = *host});
  }
  if (!read_target(*method, *target, flight)) return malformed;
  return flight;
}

bool asks_for_head_alone(std::span<const std::uint8_t> bytes) {
  return method_of(bytes) == "HEAD";
}

bool may_be_repeated(std::span<const std::uint8_t> bytes) {
  static constexpr std::string_view idempotent[] = {"GET",   "HEAD", "OPTIONS",
                                                    "TRACE", "PUT",  "DELETE"};
  return std::ranges::find(idempotent, method_of(bytes)) != std::end(idempotent);
}

}  // namespace sni
