#include "core/route/backend_table.h"

#include <algorithm>

#include "core/siphash.h"

namespace sni {
namespace {

constexpr std::size_t sweep_least = 64;

// Fixed, so that every process with the same backends spreads sources over them in the same way.
constexpr SipKey seed_key{0x736e692d70726f78, 0x6261636b656e6473};

Backend without_use(Backend backend) {
  backend.weight = 1;
  backend.backup = false;
  return backend;
}

// What is written decides, and what the interface that it names is at present.
std::string identity(const Backend& backend) {
  return backend.text + '\n' + std::to_string(backend.endpoint.scope);
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

BackendRef BackendTable::intern(const Backend& backend) {
  auto& known = entries_[identity(backend)];
  BackendRef entry = known.lock();
  if (!entry) {
    entry = std::make_shared<const BackendEntry>(++last_id_, backend);
    known = entry;
    if (entries_.size() >= sweep_at_) sweep();
  }
  return entry;
}

std::vector<BackendRef> BackendTable::named() const {
  std::vector<BackendRef> named;
  for (const auto& [text, entry] : entries_) {
    if (BackendRef living = entry.lock()) named.push_back(std::move(living));
  }
  std::ranges::sort(named, {}, [](const BackendRef& entry) { return entry->id; });
  return named;
}

// Costs what has been added since the last time, so that a reload costs the size of its routes.
void BackendTable::sweep() {
  std::erase_if(entries_, [](const auto& entry) { return entry.second.expired(); });
  sweep_at_ = std::max(sweep_least, 2 * entries_.size());
}

}  // namespace sni
