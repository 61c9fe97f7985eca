#include "core/route/backend_table.h"

#include <algorithm>

namespace sni {
namespace {

constexpr std::size_t sweep_least = 64;

// What is written decides, and what the interface that it names is at present.
std::string identity(const Backend& backend) {
  return backend.text + '\n' + std::to_string(backend.endpoint.scope);
}

}  // namespace

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

// Costs what has been added since the last time, so that a reload costs the size of its routes.
void BackendTable::sweep() {
  std::erase_if(entries_, [](const auto& entry) { return entry.second.expired(); });
  sweep_at_ = std::max(sweep_least, 2 * entries_.size());
}

}  // namespace sni
