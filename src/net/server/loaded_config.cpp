#include "net/server/loaded_config.h"

#include <string>

#include "core/config/config_file.h"
#include "core/guard/block_file.h"
#include "core/limits.h"
#include "net/guard/guard_warnings.h"
#include "net/interface_index.h"
#include "net/read_file.h"

namespace sni {
namespace {

// Its mistakes are mistakes of the configuration, with the file's own name.
Result<void> load_block_file(LoadedConfig& loaded) {
  const std::string& path = loaded.config->access.block_file;
  if (path.empty()) return {};
  const auto text = read_file(path, limits::block_file_bytes_max);
  if (!text) return std::unexpected(text.error());
  BlockFile file = parse_block_file(*text, path);
  loaded.block_file = std::move(file.entries);
  if (file.mistakes.empty()) return {};
  loaded.diagnostics.insert(loaded.diagnostics.end(), file.mistakes.begin(), file.mistakes.end());
  loaded.config.reset();
  return {};
}

}  // namespace

Result<LoadedConfig> load_config(const std::string& path) {
  const auto text = read_file(path, limits::config_bytes_max);
  if (!text) return std::unexpected(text.error());
  ConfigResult result = read_config(*text, path, interface_index);
  LoadedConfig loaded{.config = std::move(result.config),
                      .diagnostics = std::move(result.diagnostics),
                      .block_file = {},
                      .warnings = {}};
  if (!loaded.config) return loaded;
  if (auto read = load_block_file(loaded); !read) return std::unexpected(read.error());
  if (!loaded.config) return loaded;
  const auto needed = needed_sources(*loaded.config);
  if (needed) loaded.warnings = guard_warnings(*loaded.config, loaded.block_file, *needed);
  return loaded;
}

}  // namespace sni
