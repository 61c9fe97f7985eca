#include "core/route/backend_table.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <unordered_map>

#include "core/siphash.h"

namespace sni {
namespace {

// Fixed, so that every process with the same backends spreads sources over them in the same way.
constexpr SipKey seed_key{0x736e692d70726f78, 0x6261636b656e6473};

Backend without_use(Backend backend) {
  backend.weight = 1;
  backend.backup = false;
  backend.connections_max = 0;
  backend.send_proxy.reset();
  return backend;
}

// The text, and the current index of an interface that it names.
std::string identity(const Backend& backend) {
  return backend.text + '\n' + std::to_string(backend.endpoint.scope);
}

// No part contains a newline, and if all are equal one route hides the other.
std::string identity(const RouteConfig& route) {
  std::string identity;
  for (const auto* list : {&route.listeners, &route.names, &route.alpn}) {
    for (const std::string& each : *list) identity += each + '\n';
    identity += '\n';
  }
  return identity;
}

}  // namespace

BackendEntry::BackendEntry(BackendId given_id, const Backend& given)
    : id(given_id), backend(without_use(given)), seed(siphash(seed_key, given.text)) {}

void BackendEntry::count_addresses() const {
  if (backend.kind != Backend::Kind::name || addresses.load(std::memory_order_relaxed) != nullptr) {
    return;
  }
  own_addresses_ = std::make_unique<AddressLoads>();
  addresses.store(own_addresses_.get(), std::memory_order_release);
}

bool BackendEntry::count_one_more() const {
  const std::uint32_t max = connections_max.load(std::memory_order_relaxed);
  std::uint32_t count = connections.load();
  while (max == 0 || count < max) {
    if (connections.compare_exchange_weak(count, count + 1)) return true;
  }
  return false;
}

BackendRef BackendTable::intern(const Backend& backend) {
  return entries_.intern(identity(backend), [&] {
    return BackendRef(std::make_unique<const BackendEntry>(++last_id_, backend));
  });
}

std::shared_ptr<RouteLoad> BackendTable::load_of(const RouteConfig& route) {
  return loads_.intern(identity(route),
                       [] { return std::shared_ptr<RouteLoad>(std::make_unique<RouteLoad>()); });
}

std::vector<BackendRef> BackendTable::named() const {
  std::vector<BackendRef> named;
  entries_.for_each([&](const BackendRef& entry) { named.push_back(entry); });
  std::ranges::sort(named, {}, [](const BackendRef& entry) { return entry->id; });
  return named;
}

void BackendTable::bound_connections(std::span<const RouteConfig> routes) const {
  std::unordered_map<std::string_view, std::uint32_t> bounds;
  for (const RouteConfig& route : routes) {
    for (const Backend& backend : route.backends) {
      if (backend.connections_max != 0) bounds.emplace(backend.text, backend.connections_max);
    }
  }
  entries_.for_each([&](const BackendRef& entry) {
    const auto bound = bounds.find(entry->backend.text);
    entry->connections_max.store(bound == bounds.end() ? 0 : bound->second,
                                 std::memory_order_relaxed);
    if (entry->waiting.load() != 0) entry->queue.serve(*entry);
  });
}

}  // namespace sni
