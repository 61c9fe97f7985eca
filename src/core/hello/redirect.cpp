#include "core/hello/redirect.h"

#include <algorithm>

#include "core/ascii.h"

namespace sni {

bool can_redirect(const FirstFlight& flight) {
  return !flight.target.empty();
}

std::string redirect_to_https(const FirstFlight& flight) {
  // An address is a host too.
  const std::string_view host = flight.name_length != 0 ? flight.name() : flight.raw_name;
  if (host.empty()) return {};
  std::string answer = "HTTP/1.1 308 Permanent Redirect\r\nLocation: https://";
  answer += host;
  if (!flight.target.starts_with('/')) answer += '/';
  answer += flight.target;
  // No body, so that the answer is also complete for HEAD.
  answer += "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
  return answer;
}

bool is_acme_challenge(const FirstFlight& flight) {
  constexpr std::string_view prefix = "/.well-known/acme-challenge/";
  const std::string_view path = flight.target.substr(0, flight.target.find_first_of("?#"));
  if (!path.starts_with(prefix)) return false;
  const std::string_view token = path.substr(prefix.size());
  // RFC 3986 2.3: unreserved characters, for files by which an operator tries the path.
  const auto unreserved = [](char c) {
    return is_letter(c) || is_digit(c) || std::string_view("-._~").contains(c);
  };
  return !token.empty() && token != "." && token != ".." && std::ranges::all_of(token, unreserved);
}

}  // namespace sni
