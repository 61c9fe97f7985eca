#pragma once

// The health of one endpoint by its checks: up until `fall` of them in a row have failed, down
// until `rise` in a row have passed.

#include <cstdint>
#include <optional>

namespace sni {

class HealthState {
 public:
  bool up() const { return up_; }
  // Takes the result of a check. Returns whether the endpoint is up if that has changed.
  std::optional<bool> note(bool passed, std::uint32_t rise, std::uint32_t fall) {
    if (passed == up_) {
      against_ = 0;
      return std::nullopt;
    }
    if (++against_ < (up_ ? fall : rise)) return std::nullopt;
    against_ = 0;
    up_ = !up_;
    return up_;
  }

 private:
  bool up_ = true;
  std::uint32_t against_ = 0;  // Checks in a row that contradict the state.
};

}  // namespace sni
