#include "core/metrics/http_request.h"

#include "core/ascii.h"
#include "core/text_lines.h"

namespace sni {

namespace {

// Without the line's end, which is CRLF or LF (RFC 9112 section 2.2).
std::string_view take_header_line(std::string_view& rest) {
  std::string_view line = take_line(rest);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ') || text.starts_with('\t')) text.remove_prefix(1);
  while (text.ends_with(' ') || text.ends_with('\t')) text.remove_suffix(1);
  return text;
}

void read_request_line(std::string_view line, HttpRequest& request) {
  const std::size_t first = line.find(' ');
  const std::size_t last = line.rfind(' ');
  if (first == line.npos || first == last) {
    request.fault = HttpRequest::Fault::malformed;
    return;
  }
  const std::string_view method = line.substr(0, first);
  const std::string_view target = line.substr(first + 1, last - first - 1);
  const std::string_view version = line.substr(last + 1);
  request.head = method == "HEAD";
  request.path = target.substr(0, target.find('?'));
  request.keep_alive = version == "HTTP/1.1";
  if (!target.starts_with('/')) {
    request.fault = HttpRequest::Fault::malformed;
  } else if (version != "HTTP/1.1" && version != "HTTP/1.0") {
    request.fault = HttpRequest::Fault::version;
  } else if (method != "GET" && method != "HEAD") {
    request.fault = HttpRequest::Fault::method;
  }
}

}  // namespace

std::optional<HttpRequest> parse_http_request(std::string_view bytes) {
  HttpRequest request;
  std::string_view rest = bytes;
  std::size_t lines = 0;
  for (;;) {
    if (rest.find('\n') == rest.npos) return std::nullopt;
    const std::string_view line = take_header_line(rest);
    if (line.empty() && lines > 0) break;
    if (lines++ == 0) {
      read_request_line(line, request);
      continue;
    }
    const std::size_t colon = line.find(':');
    const std::string_view name = line.substr(0, colon);
    const std::string_view value = colon == line.npos ? "" : trimmed(line.substr(colon + 1));
    if (equal_ignoring_case(name, "connection") && !equal_ignoring_case(value, "keep-alive")) {
      request.keep_alive = false;
    }
    const bool body = (equal_ignoring_case(name, "content-length") && value != "0") ||
                      equal_ignoring_case(name, "transfer-encoding");
    if (body) request.keep_alive = false;
  }
  request.length = bytes.size() - rest.size();
  if (request.fault != HttpRequest::Fault::none) request.keep_alive = false;
  return request;
}

std::string http_answer(std::string_view status, std::string_view type, std::string_view body,
                        bool head, bool keep_alive) {
  std::string answer = "HTTP/1.1 ";
  answer += status;
  answer += "\r\nContent-Type: ";
  answer += type;
  answer += "\r\nContent-Length: " + std::to_string(body.size());
  answer += "\r\nCache-Control: no-store\r\n";
  if (!keep_alive) answer += "Connection: close\r\n";
  answer += "\r\n";
  if (!head) answer += body;
  return answer;
}

}  // namespace sni
