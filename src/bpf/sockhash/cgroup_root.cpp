#include "bpf/sockhash/cgroup_root.h"

#include <fcntl.h>
#include <sys/mount.h>

#include <cerrno>
#include <fstream>
#include <sstream>
#include <vector>

namespace sni {
namespace {

std::vector<std::string_view> split(std::string_view line) {
  std::vector<std::string_view> fields;
  while (!line.empty()) {
    const auto end = line.find(' ');
    if (end != 0) fields.push_back(line.substr(0, end));
    if (end == std::string_view::npos) break;
    line.remove_prefix(end + 1);
  }
  return fields;
}

bool is_octal(char c) {
  return c >= '0' && c <= '7';
}

// proc(5): space, tab, newline and backslash are written as a backslash and three octal digits.
std::string unescape(std::string_view field) {
  std::string plain;
  for (std::size_t i = 0; i < field.size(); i++) {
    if (field[i] == '\\' && i + 3 < field.size() && is_octal(field[i + 1]) &&
        is_octal(field[i + 2]) && is_octal(field[i + 3])) {
      plain += static_cast<char>((field[i + 1] - '0') * 64 + (field[i + 2] - '0') * 8 +
                                 (field[i + 3] - '0'));
      i += 3;
    } else {
      plain += field[i];
    }
  }
  return plain;
}

Result<CgroupRoot> mount_cgroup2() {
  auto context = UniqueFd::adopt(::fsopen("cgroup2", FSOPEN_CLOEXEC));
  if (!context) return fail_sys("cannot open a cgroup2 file system", errno);
  if (::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0)
    return fail_sys("cannot create a cgroup2 mount", errno);
  auto root = UniqueFd::adopt(::fsmount(context.get(), FSMOUNT_CLOEXEC, 0));
  if (!root) return fail_sys("cannot mount cgroup2", errno);
  // The mount itself is an O_PATH descriptor, which bpf(2) does not accept.
  auto directory = UniqueFd::adopt(::openat(root.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return fail_sys("cannot open the cgroup2 mount", errno);
  return CgroupRoot{.directory = std::move(directory), .where = "root cgroup (own mount)"};
}

}  // namespace

std::optional<std::string> find_cgroup2(std::string_view mountinfo) {
  while (!mountinfo.empty()) {
    const auto end = mountinfo.find('\n');
    const auto fields = split(mountinfo.substr(0, end));
    mountinfo.remove_prefix(end == std::string_view::npos ? mountinfo.size() : end + 1);
    // ID, parent, device, root, mount point, options, any number of optional fields, "-", type.
    for (std::size_t i = 6; i + 1 < fields.size(); i++) {
      if (fields[i] != "-") continue;
      if (fields[i + 1] == "cgroup2" && fields[3] == "/") return unescape(fields[4]);
      break;
    }
  }
  return std::nullopt;
}

Result<CgroupRoot> open_cgroup_root() {
  const std::ifstream file("/proc/self/mountinfo");
  std::ostringstream text;
  text << file.rdbuf();
  if (const auto path = find_cgroup2(text.str())) {
    auto directory = UniqueFd::adopt(::open(path->c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (directory) return CgroupRoot{.directory = std::move(directory), .where = *path};
  }
  return mount_cgroup2();
}

}  // namespace sni
