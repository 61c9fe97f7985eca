#include "net/loaded_config.h"

#include <sys/stat.h>

#include <cerrno>
#include <fstream>
#include <iterator>

#include "core/block_file.h"
#include "core/config_file.h"
#include "core/limits.h"
#include "net/guard_warnings.h"

namespace sni {
namespace {

Result<std::string> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(file), {}};
  if (!file.is_open() || file.bad()) return fail_sys("cannot read " + path, errno);
  return text;
}

// Its mistakes are mistakes of the configuration, with the file's own name.
Result<void> load_block_file(LoadedConfig& loaded) {
  const std::string& path = loaded.config->access.block_file;
  if (path.empty()) return {};
  struct stat status{};
  if (stat(path.c_str(), &status) == 0 &&
      static_cast<std::uint64_t>(status.st_size) > limits::block_file_bytes_max) {
    return fail(path + " is longer than a block file may be");
  }
  const auto text = read_file(path);
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
  const auto text = read_file(path);
  if (!text) return std::unexpected(text.error());
  ConfigResult result = read_config(*text, path);
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
