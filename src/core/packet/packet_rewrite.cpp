#include "core/packet/packet_rewrite.h"

#include <algorithm>
#include <cstddef>

namespace sni {
namespace {

constexpr std::size_t header_min = 20;
constexpr std::size_t header_max = 60;
constexpr std::uint8_t flag_ack = 16;
constexpr std::uint8_t kind_end = 0;
constexpr std::uint8_t kind_nop = 1;
constexpr std::uint8_t kind_sack = 5;
constexpr std::uint8_t kind_timestamps = 8;
constexpr std::size_t sack_blocks_max = 4;

std::uint32_t read32(std::span<const std::uint8_t> at) {
  return std::uint32_t{at[0]} << 24 | std::uint32_t{at[1]} << 16 | std::uint32_t{at[2]} << 8 |
         at[3];
}

void write32(std::span<std::uint8_t> at, std::uint32_t value) {
  for (std::size_t i = 0; i < 4; ++i) at[i] = static_cast<std::uint8_t>(value >> (24 - 8 * i));
}

void write16(std::span<std::uint8_t> at, std::uint16_t value) {
  at[0] = static_cast<std::uint8_t>(value >> 8);
  at[1] = static_cast<std::uint8_t>(value);
}

void add32(std::span<std::uint8_t> at, std::uint32_t delta) {
  write32(at, read32(at) + delta);
}

void translate_stamps(std::span<std::uint8_t> option, const TcpTranslation& translation) {
  add32(option.subspan(2), translation.stamp_delta);
  const auto echo = option.subspan(6);
  const std::uint32_t value = read32(echo);
  write32(echo, value != 0 && translation.echo_delta ? value - *translation.echo_delta : 0);
}

void translate_sack(std::span<std::uint8_t> option, const TcpTranslation& translation) {
  const std::size_t blocks = std::min((option.size() - 2) / 8, sack_blocks_max);
  for (std::size_t block = 0; block < blocks; ++block) {
    add32(option.subspan(2 + block * 8), translation.ack_delta);
    add32(option.subspan(6 + block * 8), translation.ack_delta);
  }
}

// If a sender repeats an option, the last one counts.
void translate_options(std::span<std::uint8_t> options, const TcpTranslation& translation) {
  std::span<std::uint8_t> stamps, sack;
  for (std::size_t at = 0; at < options.size();) {
    const std::uint8_t kind = options[at];
    if (kind == kind_end) break;
    if (kind == kind_nop) {
      ++at;
      continue;
    }
    if (at + 1 == options.size()) break;
    const std::size_t length = options[at + 1];
    if (length < 2 || at + length > options.size()) break;
    if (kind == kind_timestamps && length == 10) stamps = options.subspan(at, length);
    if (kind == kind_sack && length >= 10) sack = options.subspan(at, length);
    at += length;
  }
  if (!stamps.empty()) translate_stamps(stamps, translation);
  if (!sack.empty()) translate_sack(sack, translation);
}

}  // namespace

std::uint16_t translate_window(std::uint16_t window, std::uint8_t scale_from,
                               std::uint8_t scale_to) {
  if (window == 0) return 0;
  const std::uint32_t scaled = std::uint32_t{window} << scale_from >> scale_to;
  return static_cast<std::uint16_t>(std::clamp<std::uint32_t>(scaled, 1, 0xffff));
}

bool translate_tcp_header(std::span<std::uint8_t> header, const TcpTranslation& translation) {
  if (header.size() < header_min || header.size() > header_max) return false;
  if (header.size() != std::size_t{header[12]} / 16 * 4) return false;
  write16(header, translation.source_port);
  write16(header.subspan(2), translation.target_port);
  add32(header.subspan(4), translation.seq_delta);
  if (header[13] & flag_ack) add32(header.subspan(8), translation.ack_delta);
  const auto window = static_cast<std::uint16_t>(header[14] << 8 | header[15]);
  write16(header.subspan(14),
          translate_window(window, translation.scale_from, translation.scale_to));
  translate_options(header.subspan(header_min), translation);
  return true;
}

}  // namespace sni
