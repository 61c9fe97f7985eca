#pragma once

// Keys of other proxies and their counterparts here, for messages about unknown keys.

#include <string_view>

namespace sni {

// `table` is the label of a table as messages show it: "[[route]]", "[timeouts]", "" for the top
// level. "": nothing is known of the key.
std::string_view foreign_key_hint(std::string_view table, std::string_view key);

}  // namespace sni
