#include "net/server/loaded_config.h"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "core/config/config_file.h"
#include "core/counted.h"
#include "core/guard/block_file.h"
#include "core/limits.h"
#include "net/group_id.h"
#include "net/guard/guard_warnings.h"
#include "net/include_files.h"
#include "net/interface_index.h"
#include "net/read_file.h"
#include "net/user_id.h"

namespace sni {
namespace {

void add_mistake(LoadedConfig& loaded, Position position, std::string message) {
  loaded.diagnostics.push_back({.severity = Severity::error,
                                .file = loaded.files[position.file],
                                .position = position,
                                .message = std::move(message)});
}

// A block file that cannot be read is an error of the configuration, under the file's own name. A
// mistake within a list that others publish need not be.
void load_block_file(LoadedConfig& loaded, Position position) {
  const AccessConfig& access = loaded.config->access;
  const std::string path = access.block_file;
  if (path.empty()) return;
  const auto text = read_file(path, limits::block_file_bytes_max);
  if (!text) {
    add_mistake(loaded, position, "'block_file' in [access]: " + text.error().what);
    return loaded.config.reset();
  }
  BlockFile file = parse_block_file(*text, path);
  loaded.block_file = std::move(file.entries);
  if (file.mistakes.empty()) return;
  if (access.block_file_errors == BlockFileErrors::skip && !file.too_long) {
    Diagnostic first = std::move(file.mistakes.front());
    first.severity = Severity::warning;
    first.message +=
        file.bad_lines == 1
            ? "; the line is ignored"
            : "; this and " + counted(file.bad_lines - 1, "more line") + " are left out";
    if (loaded.block_file.empty()) first.message += ", and none is left that blocks anybody";
    loaded.diagnostics.push_back(std::move(first));
    return;
  }
  loaded.diagnostics.insert(loaded.diagnostics.end(), file.mistakes.begin(), file.mistakes.end());
  loaded.config.reset();
}

// The first line of each upstream's password_file.
void load_passwords(LoadedConfig& loaded, const std::vector<Position>& positions) {
  for (std::size_t i = 0; i < loaded.config->upstreams.size(); ++i) {
    UpstreamConfig& upstream = loaded.config->upstreams[i];
    if (upstream.password_file.empty()) continue;
    std::string mistake;
    if (const auto text = read_file(upstream.password_file, limits::password_file_bytes); !text) {
      mistake = text.error().what;
    } else {
      upstream.login.password = text->substr(0, text->find_first_of("\r\n"));
      const std::size_t size = upstream.login.password.size();
      if (size == 0 || size > socks_login_bytes_max) {
        mistake =
            "the first line of " + upstream.password_file + " has no password of 1 to 255 bytes";
      }
    }
    if (mistake.empty()) continue;
    add_mistake(loaded, positions[i], "'password_file' in [[upstream]]: " + mistake);
    return loaded.config.reset();
  }
}

// Reports missing users and groups: those to run as, and those of a socket.
void check_accounts(LoadedConfig& loaded, const AccountPlaces& places) {
  const Config& config = *loaded.config;
  const std::size_t before = loaded.diagnostics.size();
  const auto check = [&](bool known, Position position, std::string message) {
    if (!known) add_mistake(loaded, position, std::move(message));
  };
  check(config.user.empty() || user_id(config.user), places.user,
        "'user' in [server]: this host has no user '" + config.user + "'");
  check(config.group.empty() || group_id(config.group), places.group,
        "'group' in [server]: this host has no group '" + config.group + "'");
  check(config.control.group.empty() || group_id(config.control.group), places.control_group,
        "'group' in [control]: this host has no group '" + config.control.group + "'");
  if (loaded.diagnostics.size() != before) loaded.config.reset();
}

// Reports files to write whose directory is missing (a start with server.user makes it), and those
// that would destroy another file of the configuration.
void check_outputs(LoadedConfig& loaded, const OutputPlaces& places) {
  std::vector<std::string> taken = loaded.files;
  taken.push_back(loaded.config->access.block_file);
  const auto check = [&](const std::string& path, Position position, const char* key) {
    if (path.empty()) return;
    const std::string directory = std::filesystem::path(path).parent_path();
    std::error_code ignored;
    const auto is_same = [&](const std::string& other) {
      return path == other || std::filesystem::equivalent(path, other, ignored);
    };
    std::string mistake;
    if (std::filesystem::is_directory(path, ignored)) {
      mistake = path + " is a directory";
    } else if (loaded.config->user.empty() && !std::filesystem::is_directory(directory, ignored)) {
      mistake = directory + " is not a directory of this host";
    } else if (std::ranges::any_of(taken, is_same)) {
      mistake = path + " is another file of this configuration";
    }
    if (!mistake.empty()) add_mistake(loaded, position, std::string(key) + ": " + mistake);
    taken.push_back(path);
  };
  const std::size_t before = loaded.diagnostics.size();
  check(loaded.config->log.access_file, places.access_file, "'access_file' in [log]");
  check(loaded.config->stats.file, places.stats_file, "'file' in [stats]");
  if (loaded.diagnostics.size() != before) loaded.config.reset();
}

}  // namespace

Result<LoadedConfig> load_config(const std::string& path) {
  const auto text = read_file(path, limits::config_bytes_max);
  if (!text) return std::unexpected(text.error());
  std::map<std::string, std::uint32_t, std::less<>> interfaces;
  const auto lookup = [&interfaces](std::string_view name) {
    const auto index = interface_index(name);
    if (index) interfaces.emplace(name, *index);
    return index;
  };
  ConfigResult result = read_config(*text, path, lookup, include_files(path));
  if (result.config) result.config->interfaces = std::move(interfaces);
  LoadedConfig loaded{.config = std::move(result.config),
                      .diagnostics = std::move(result.diagnostics),
                      .block_file = {},
                      .warnings = {},
                      .files = std::move(result.files),
                      .log_format = result.log_format};
  if (!loaded.config) return loaded;
  check_accounts(loaded, result.accounts);
  if (loaded.config) check_outputs(loaded, result.outputs);
  if (loaded.config) load_passwords(loaded, result.password_files);
  if (loaded.config) load_block_file(loaded, result.block_file);
  if (!loaded.config) return loaded;
  const auto needed = needed_sources(*loaded.config);
  if (needed) loaded.warnings = guard_warnings(*loaded.config, loaded.block_file, *needed);
  return loaded;
}

}  // namespace sni
