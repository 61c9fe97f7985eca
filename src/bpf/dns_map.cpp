#include "bpf/dns_map.h"

#include <bpf/bpf.h>
#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace sni {

static_assert(DNS_ADDRESSES_MAX == limits::backend_addresses_max);
static_assert(DNS_NAME_BYTES > limits::server_name_max);

Result<DnsMap> DnsMap::open(const Sockhash& sockhash) {
  const int key_fd = sockhash.map_fd("DNS_CACHE_KEY");
  const std::uint32_t only = 0;
  SipKey key{};
  static_assert(sizeof(key) == DNS_KEY_BYTES);
  if (bpf_map_lookup_elem(key_fd, &only, key.data()) != 0)
    return fail_sys("cannot read DNS_CACHE_KEY", errno);
  if (key == SipKey{}) {
    if (::getrandom(key.data(), sizeof(key), 0) != sizeof(key))
      return fail_sys("cannot draw a hash key", errno);
    if (bpf_map_update_elem(key_fd, &only, key.data(), BPF_ANY) != 0)
      return fail_sys("cannot write DNS_CACHE_KEY", errno);
  }
  return DnsMap(sockhash.map_fd("DNS_CACHE"), key);
}

std::optional<DnsMap::Answer> DnsMap::find(std::string_view name, std::uint64_t now_s) const {
  const std::uint64_t key = siphash(key_, name);
  dns_record record{};
  if (bpf_map_lookup_elem(map_fd_, &key, &record) != 0) return std::nullopt;
  const std::string_view stored(record.name, ::strnlen(record.name, sizeof(record.name)));
  if (stored != name || record.expires_s <= now_s) return std::nullopt;
  Answer answer{.resolution = {.status = Resolution::Status::ok}, .expires_s = record.expires_s};
  // A pinned map is another process's word: its count is bounded like any input.
  const auto count = std::min<std::uint32_t>(record.count, DNS_ADDRESSES_MAX);
  for (std::uint32_t i = 0; i < count; i++) {
    IpAddress address;
    std::copy_n(record.addresses[i], address.bytes.size(), address.bytes.begin());
    answer.resolution.add(address);
  }
  if (count == 0) return std::nullopt;
  return answer;
}

void DnsMap::store(std::string_view name, const Answer& answer) const {
  if (name.size() >= DNS_NAME_BYTES || answer.resolution.status != Resolution::Status::ok) return;
  const std::uint64_t key = siphash(key_, name);
  dns_record record{.expires_s = answer.expires_s, .count = answer.resolution.count};
  std::copy(name.begin(), name.end(), record.name);
  for (std::size_t i = 0; i < answer.resolution.count; i++)
    std::ranges::copy(answer.resolution.addresses[i].bytes, record.addresses[i]);
  // A map that is full drops its least recently used entry; other failures cost a question later.
  bpf_map_update_elem(map_fd_, &key, &record, BPF_ANY);
}

}  // namespace sni
