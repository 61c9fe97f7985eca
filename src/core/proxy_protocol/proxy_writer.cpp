#include "core/proxy_protocol/proxy_writer.h"

#include <algorithm>
#include <cassert>
#include <string>

#include "core/proxy_protocol/crc32c.h"

namespace sni {
namespace {

namespace wire = proxy_wire;

class Writer {
 public:
  explicit Writer(ProxyHeaderSpace& space) : space_(space) {}

  void byte(std::uint8_t value) { space_[size_++] = value; }
  void number16(std::size_t value) {
    byte(static_cast<std::uint8_t>(value >> 8));
    byte(static_cast<std::uint8_t>(value));
  }
  void bytes(std::span<const std::uint8_t> given) {
    std::ranges::copy(given, space_.begin() + static_cast<std::ptrdiff_t>(size_));
    size_ += given.size();
  }
  void text(std::string_view given) {
    bytes({reinterpret_cast<const std::uint8_t*>(given.data()), given.size()});
  }
  void field(wire::Tlv type, std::string_view value, std::size_t bytes_max) {
    if (value.empty() || value.size() > bytes_max) return;
    byte(static_cast<std::uint8_t>(type));
    number16(value.size());
    text(value);
  }
  std::size_t size() const { return size_; }
  std::span<const std::uint8_t> done() const { return std::span(space_).first(size_); }

 private:
  ProxyHeaderSpace& space_;
  std::size_t size_ = 0;
};

bool both_ipv4(const ProxyFacts& facts) {
  return facts.source.ip.is_v4() && facts.destination.ip.is_v4();
}

// TCP6 has IPv4 as v4-mapped.
std::string address_text(const IpAddress& address, bool as_ipv4) {
  return as_ipv4 || !address.is_v4() ? address.to_string() : "::ffff:" + address.to_string();
}

void write_v1(const ProxyFacts& facts, Writer& out) {
  const bool ipv4 = both_ipv4(facts);
  std::string line(wire::v1_prefix);
  line += ipv4 ? "TCP4 " : "TCP6 ";
  line += address_text(facts.source.ip, ipv4) + ' ';
  line += address_text(facts.destination.ip, ipv4) + ' ';
  line += std::to_string(facts.source.port) + ' ';
  line += std::to_string(facts.destination.port) + "\r\n";
  assert(line.size() <= wire::v1_bytes_max);
  out.text(line);
}

void write_addresses(const ProxyFacts& facts, Writer& out) {
  const std::size_t skipped = both_ipv4(facts) ? 12 : 0;  // The v4-mapped prefix.
  out.bytes(std::span(facts.source.ip.bytes).subspan(skipped));
  out.bytes(std::span(facts.destination.ip.bytes).subspan(skipped));
  out.number16(facts.source.port);
  out.number16(facts.destination.port);
}

void put_number16(ProxyHeaderSpace& space, std::size_t at, std::size_t value) {
  space[at] = static_cast<std::uint8_t>(value >> 8);
  space[at + 1] = static_cast<std::uint8_t>(value);
}

// The checksum covers the whole header, with itself as 0.
void write_checksum(ProxyHeaderSpace& space, Writer& out) {
  out.byte(static_cast<std::uint8_t>(wire::Tlv::crc32c));
  out.number16(wire::crc32c_bytes);
  out.number16(0);
  out.number16(0);
  put_number16(space, wire::v2_signature.size() + 2, out.size() - wire::v2_fixed_bytes);
  Crc32c sum;
  sum.add(out.done());
  put_number16(space, out.size() - 4, sum.value() >> 16);
  put_number16(space, out.size() - 2, sum.value() & 0xffff);
}

void write_v2(const ProxyForm& form, const ProxyFacts& facts, ProxyHeaderSpace& space,
              Writer& out) {
  out.bytes(wire::v2_signature);
  out.byte(wire::v2_proxy);
  out.byte(both_ipv4(facts) ? wire::v2_tcp4 : wire::v2_tcp6);
  out.number16(0);  // The length, once it is known.
  write_addresses(facts, out);
  if (form.alpn) out.field(wire::Tlv::alpn, facts.alpn, 255);
  if (form.authority) out.field(wire::Tlv::authority, facts.authority, limits::server_name_max);
  if (form.unique_id) out.field(wire::Tlv::unique_id, facts.unique_id, wire::unique_id_bytes_max);
  put_number16(space, wire::v2_signature.size() + 2, out.size() - wire::v2_fixed_bytes);
  if (form.crc32c) write_checksum(space, out);
}

}  // namespace

std::span<const std::uint8_t> write_proxy_header(const ProxyForm& form, const ProxyFacts& facts,
                                                 ProxyHeaderSpace& space) {
  assert(form.version != ProxyVersion::none);
  Writer out(space);
  if (form.version == ProxyVersion::v1) {
    write_v1(facts, out);
  } else {
    write_v2(form, facts, space, out);
  }
  return out.done();
}

std::span<const std::uint8_t> write_proxy_local(ProxyVersion version, const ProxyFacts& ends,
                                                ProxyHeaderSpace& space) {
  Writer out(space);
  if (version == ProxyVersion::v1 && ends.source.port != 0) {
    write_v1(ends, out);
  } else if (version == ProxyVersion::v1) {
    out.text(wire::v1_shortest);
  } else {
    out.bytes(wire::v2_signature);
    out.byte(wire::v2_local);
    out.byte(wire::v2_unspecified);
    out.number16(0);
  }
  return out.done();
}

}  // namespace sni
