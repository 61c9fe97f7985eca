#include "core/hello/redirect.h"

namespace sni {

std::string redirect_to_https(const FirstFlight& flight) {
  // An address is a host too.
  const std::string_view host = flight.name_length != 0 ? flight.name() : flight.raw_name;
  if (host.empty()) return {};
  std::string answer = "HTTP/1.1 308 Permanent Redirect\r\nLocation: https://";
  answer += host;
  answer += flight.target;
  // No body, so that the answer is also complete for HEAD.
  answer += "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
  return answer;
}

bool is_acme_challenge(const FirstFlight& flight) {
  return flight.target.starts_with("/.well-known/acme-challenge/");
}

}  // namespace sni
