#pragma once

// An owned file descriptor. Structs hold UniqueFd; a raw int appears only at the system call.
// Adoption is explicit, so that it is visible who closes the descriptor.

#include <unistd.h>

#include <utility>

namespace sni {

class UniqueFd {
 public:
  UniqueFd() = default;
  ~UniqueFd() { reset(); }
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;

  // Takes ownership of fd; a negative fd gives an empty one.
  static UniqueFd adopt(int fd) noexcept {
    UniqueFd owned;
    owned.fd_ = fd < 0 ? -1 : fd;
    return owned;
  }

  int get() const noexcept { return fd_; }
  explicit operator bool() const noexcept { return fd_ >= 0; }
  [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }
  void reset() noexcept {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }

 private:
  int fd_ = -1;
};

}  // namespace sni
