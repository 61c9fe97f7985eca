#include "core/dns/resolution.h"

#include <algorithm>
#include <cassert>

namespace sni {
namespace {

std::vector<IpAddress> alternated(std::span<const IpAddress> v6, std::span<const IpAddress> v4) {
  std::vector<IpAddress> list;
  list.reserve(v6.size() + v4.size());
  for (std::size_t i = 0; i < std::max(v6.size(), v4.size()); ++i) {
    if (i < v6.size()) list.push_back(v6[i]);
    if (i < v4.size()) list.push_back(v4[i]);
  }
  return list;
}

}  // namespace

Resolution Resolution::of(std::vector<IpAddress> addresses) {
  if (addresses.empty()) return {.status = Status::not_found};
  if (addresses.size() > limits::backend_addresses_max) {
    addresses.resize(limits::backend_addresses_max);
  }
  return {.status = Status::ok,
          .addresses = std::make_shared<const std::vector<IpAddress>>(std::move(addresses))};
}

Resolution Resolution::of(std::span<const IpAddress> v6, std::span<const IpAddress> v4,
                          AddressFamilies families) {
  switch (families) {
    case AddressFamilies::any:
      break;
    case AddressFamilies::ipv4:
      return of({v4.begin(), v4.end()});
    case AddressFamilies::ipv6:
      return of({v6.begin(), v6.end()});
    case AddressFamilies::prefer_ipv4: {
      std::vector<IpAddress> list(v4.begin(), v4.end());
      list.insert(list.end(), v6.begin(), v6.end());
      return of(std::move(list));
    }
  }
  return of(alternated(v6, v4));
}

Resolution Resolution::of_service(std::vector<ServiceTarget> targets) {
  if (targets.empty()) return {.status = Status::not_found};
  return {.status = Status::ok,
          .services = std::make_shared<const std::vector<ServiceTarget>>(std::move(targets))};
}

Resolution Resolution::sorted(std::span<const IpAddress> addresses, AddressFamilies families) {
  std::vector<IpAddress> v6;
  std::vector<IpAddress> v4;
  for (const IpAddress& address : addresses) (address.is_v4() ? v4 : v6).push_back(address);
  return of(v6, v4, families);
}

const IpAddress& Resolution::in_turn(std::size_t position, std::uint32_t turn) const {
  const auto all = list();
  assert(position < all.size());
  const bool v4 = all[position].is_v4();
  const auto of_family = [v4](const IpAddress& address) { return address.is_v4() == v4; };
  const auto rank = static_cast<std::size_t>(std::ranges::count_if(all.first(position), of_family));
  const auto size = static_cast<std::size_t>(std::ranges::count_if(all, of_family));
  std::size_t wanted = (rank + turn) % size;
  for (const IpAddress& address : all) {
    if (of_family(address) && wanted-- == 0) return address;
  }
  return all[position];
}

bool Resolution::operator==(const Resolution& other) const {
  const auto targets = [](const Resolution& each) {
    return each.services ? std::span(*each.services) : std::span<const ServiceTarget>();
  };
  return status == other.status && stale == other.stale &&
         std::ranges::equal(list(), other.list()) &&
         std::ranges::equal(targets(*this), targets(other));
}

}  // namespace sni
