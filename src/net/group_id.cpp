#include "net/group_id.h"

#include <grp.h>

#include <array>

#include "core/decimal.h"

namespace sni {

std::optional<gid_t> group_id(const std::string& name) {
  group entry{};
  group* found = nullptr;
  // The entry also lists members; this is enough for what we need.
  std::array<char, 16 * 1024> text;
  if (getgrnam_r(name.c_str(), &entry, text.data(), text.size(), &found) == 0 && found != nullptr) {
    return found->gr_gid;
  }
  const auto number = parse_decimal(name, UINT32_MAX - 1);
  return number ? std::optional(static_cast<gid_t>(*number)) : std::nullopt;
}

}  // namespace sni
