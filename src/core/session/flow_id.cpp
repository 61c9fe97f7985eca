#include "core/session/flow_id.h"

#include "core/decimal.h"

namespace sni {

namespace {

constexpr std::uint64_t number_max = (std::uint64_t{1} << flow_serial_bits) - 1;

}  // namespace

std::string flow_id(std::uint64_t serial) {
  return std::to_string(worker_of(serial)) + '-' + std::to_string(serial & number_max);
}

std::string unique_flow_id(std::uint64_t run, std::uint64_t serial) {
  std::string id;
  for (int shift = 60; shift >= 0; shift -= 4) id += "0123456789abcdef"[run >> shift & 15];
  return id + '-' + flow_id(serial);
}

std::optional<std::uint64_t> parse_flow_id(std::string_view text) {
  const std::size_t dash = text.find('-');
  if (dash == text.npos) return std::nullopt;
  const auto worker = parse_decimal(text.substr(0, dash), UINT16_MAX);
  const auto number = parse_decimal(text.substr(dash + 1), number_max);
  if (!worker || !number || *number == 0) return std::nullopt;
  return (*worker << flow_serial_bits) | *number;
}

}  // namespace sni
