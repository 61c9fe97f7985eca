#include "net/include_files.h"

#include <glob.h>

#include <cerrno>
#include <filesystem>

#include "net/read_file.h"

namespace sni {
namespace {

// Escapes a name so that glob(3) sees no wildcards.
std::string literally(const std::string& path) {
  std::string text;
  for (const char c : path) {
    if (c == '*' || c == '?' || c == '[' || c == '\\') text += '\\';
    text += c;
  }
  return text;
}

Result<std::vector<std::string>> expand(const std::string& pattern) {
  glob_t found{};
  // The names are sorted by bytes, since no locale is set. GLOB_ERR: an unreadable directory is not
  // an empty one.
  // NOLINTNEXTLINE(concurrency-mt-unsafe): only its expansion of ~ is, which no pattern has.
  const int failure = glob(pattern.c_str(), GLOB_ERR, nullptr, &found);
  std::vector<std::string> paths(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  const int reason = errno;
  globfree(&found);
  if (failure == 0 || failure == GLOB_NOMATCH) return paths;
  if (failure == GLOB_ABORTED) return fail_sys("cannot read the directory of " + pattern, reason);
  return fail("no memory for the names of " + pattern);
}

}  // namespace

IncludeFiles include_files(const std::string& config_path) {
  const std::filesystem::path directory = std::filesystem::path(config_path).parent_path();
  const auto list = [config_path,
                     directory](std::string_view pattern) -> Result<std::vector<std::string>> {
    // An absolute pattern stays as it is, and a missing file is reported when it is read.
    const bool alone = pattern.starts_with('/') || directory.empty();
    const bool is_file = pattern.find_first_of("*?[") == pattern.npos;
    const std::string before = alone ? "" : directory.string() + '/';
    if (is_file) return std::vector{before + std::string(pattern)};
    auto paths = expand(literally(before) + std::string(pattern));
    if (!paths) return paths;
    std::erase_if(*paths, [&config_path](const std::string& path) {
      std::error_code ignored;
      return std::filesystem::equivalent(path, config_path, ignored);
    });
    return paths;
  };
  return {.list = list, .read = read_file};
}

}  // namespace sni
