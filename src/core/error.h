#pragma once

// Operating errors are values: Result<T> holds a T or an Error that names the act, the object and,
// if known, the likely cause. Programmer errors are asserts.

#include <expected>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace sni {

struct Error {
  std::string what;   // A sentence fragment for the operator: "cannot listen on 0.0.0.0:443: ...".
  int sys_errno = 0;  // The errno behind it; 0: none.
};

template <typename T>
using Result = std::expected<T, Error>;

inline std::unexpected<Error> fail(std::string what) {
  return std::unexpected(Error{.what = std::move(what)});
}

// An Error from an errno (positive): "<act>: <strerror>".
inline std::unexpected<Error> fail_sys(std::string_view act, int sys_errno) {
  std::string what(act);
  what += ": ";
  what += std::generic_category().message(sys_errno);
  return std::unexpected(Error{.what = std::move(what), .sys_errno = sys_errno});
}

}  // namespace sni
