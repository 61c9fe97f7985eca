#include "net/user_id.h"

#include <pwd.h>

#include <array>

#include "core/decimal.h"

namespace sni {

std::optional<UserId> user_id(const std::string& name) {
  passwd entry{};
  passwd* found = nullptr;
  std::array<char, 4096> text;  // Usually a line of /etc/passwd.
  if (getpwnam_r(name.c_str(), &entry, text.data(), text.size(), &found) != 0 || found == nullptr) {
    const auto number = parse_decimal(name, UINT32_MAX - 1);
    if (!number ||
        getpwuid_r(static_cast<uid_t>(*number), &entry, text.data(), text.size(), &found) != 0) {
      return std::nullopt;
    }
  }
  if (found == nullptr) return std::nullopt;
  return UserId{.uid = found->pw_uid, .gid = found->pw_gid};
}

}  // namespace sni
