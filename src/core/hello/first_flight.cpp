#include "core/hello/first_flight.h"

#include "core/hello/client_hello.h"
#include "core/hello/http_host.h"
#include "core/hello/tls_record.h"

namespace sni {

std::string_view to_string(FlightError error) {
  switch (error) {
    case FlightError::record_overflow:
      return "a record of more than 2^14 bytes";
    case FlightError::unexpected_message:
      return "not a ClientHello";
    case FlightError::repeated_extension:
      return "an extension is given twice";
    default:
      return {};
  }
}

std::expected<std::size_t, FlightError> FlightScanner::scan(std::span<const std::uint8_t> bytes) {
  switch (options_.protocol) {
    case Protocol::tls:
      return scan_hello_records(bytes, progress_, options_.hello_bytes);
    case Protocol::http:
      return scan_http_head(bytes, progress_);
  }
  return std::unexpected(FlightError::not_the_protocol);
}

std::expected<FirstFlight, FlightFault> FlightScanner::parse(
    std::span<const std::uint8_t> bytes, std::span<std::uint8_t> scratch) const {
  switch (options_.protocol) {
    case Protocol::tls:
      return parse_client_hello(join_hello(bytes, progress_, scratch), options_.strip_port);
    case Protocol::http:
      return parse_http_head(bytes.first(progress_.position));
  }
  return std::unexpected(FlightFault{.error = FlightError::not_the_protocol, .name = {}});
}

}  // namespace sni
