#pragma once

// Values by name, shared by whoever holds one and forgotten once nobody does: what has to outlive a
// reload is found again by its name as long as it is in use. For one thread.

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <unordered_map>

namespace sni {

template <typename T>
class WeakTable {
 public:
  // The value of this name, one of make()'s if nobody has it.
  template <typename Make>
  std::shared_ptr<T> intern(const std::string& name, Make&& make) {
    std::weak_ptr<T>& known = values_[name];
    std::shared_ptr<T> value = known.lock();
    if (value) return value;
    value = make();
    known = value;
    if (values_.size() >= sweep_at_) sweep();
    return value;
  }
  template <typename Visit>
  void for_each(Visit&& visit) const {
    for (const auto& [name, weak] : values_) {
      if (const std::shared_ptr<T> value = weak.lock()) visit(value);
    }
  }
  // Values that are in use, and some that were until lately.
  std::size_t size() const { return values_.size(); }

 private:
  static constexpr std::size_t sweep_least = 64;

  // Costs what has been added since the last time, so that a reload costs the size of its routes.
  void sweep() {
    std::erase_if(values_, [](const auto& each) { return each.second.expired(); });
    sweep_at_ = std::max(sweep_least, 2 * values_.size());
  }

  std::unordered_map<std::string, std::weak_ptr<T>> values_;
  std::size_t sweep_at_ = sweep_least;  // Values; those that nobody has are looked for then.
};

}  // namespace sni
