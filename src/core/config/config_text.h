#pragma once

// A configuration as text that read_config() accepts. The password of an upstream stays in its
// file.

#include <cstdint>
#include <string>
#include <string_view>

#include "core/config/config.h"

namespace sni {

enum class ConfigKeys : std::uint8_t {
  all,      // Defaults are filled in.
  changed,  // Only keys that are not at their defaults.
};

// Interfaces of link-local addresses are written by their `names`, if there are any: an index may be
// another interface's after the next boot.
std::string config_text(const Config& config, ConfigKeys keys, InterfaceNames names = nullptr);

// A TOML string in double quotes.
std::string toml_string(std::string_view text);

}  // namespace sni
