#pragma once

// Values by name, shared by their holders and forgotten when nobody holds them any more. A value
// that must survive a reload is found again by its name as long as it is in use. Single-threaded.

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <unordered_map>

namespace sni {

template <typename T>
class WeakTable {
 public:
  // The value of this name, made by make() if nobody holds one.
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
  // Counts values in use and some that were in use until recently.
  std::size_t size() const { return values_.size(); }
  // Forgets values that nobody holds. The table also does so by itself, when it has grown to twice its
  // size: that costs a reload no more than the size of its routes.
  void sweep() {
    std::erase_if(values_, [](const auto& each) { return each.second.expired(); });
    sweep_at_ = std::max(sweep_least, 2 * values_.size());
  }

 private:
  static constexpr std::size_t sweep_least = 64;

  std::unordered_map<std::string, std::weak_ptr<T>> values_;
  std::size_t sweep_at_ = sweep_least;  // Number of values at which the next sweep is due.
};

}  // namespace sni
