#include "bpf/packet/pin_directory.h"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>

#include "bpf/trusted_pins.h"

namespace sni {
namespace {

constexpr mode_t owner_only = 0700;

std::vector<std::string> entries_of(const std::string& directory) {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator each(directory, error), end; !error && each != end;
       each.increment(error)) {
    names.push_back(each->path().filename().string());
  }
  std::ranges::sort(names);
  return names;
}

Result<void> make_directory(const std::string& path) {
  if (::mkdir(path.c_str(), owner_only) == 0 || errno == EEXIST) return {};
  return fail_sys("cannot make " + path, errno);
}

// "v4"; other pins there are not ours.
bool is_version(const std::string& name) {
  return name.size() > 1 && name[0] == 'v' &&
         name.find_first_not_of("0123456789", 1) == std::string::npos;
}

bool is_bpf_file_system(const std::string& path) {
  struct statfs about{};
  return ::statfs(path.c_str(), &about) == 0 && about.f_type == BPF_FS_MAGIC;
}

}  // namespace

Result<PinDirectory> PinDirectory::open(const std::string& path, unsigned version) {
  // Checked before anything is made: a directory of this name on another file system would stay
  // behind without use.
  const std::string parent = std::filesystem::path(path).parent_path().string();
  if (!is_bpf_file_system(path) && !is_bpf_file_system(parent)) {
    return fail("cannot pin in " + path + ": " + parent +
                " is no BPF file system (mount -t bpf bpf /sys/fs/bpf)");
  }
  if (const auto made = make_directory(path); !made) return std::unexpected(made.error());
  PinDirectory pins;
  pins.lock_ =
      UniqueFd::adopt(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!pins.lock_) return fail_sys("cannot open " + path, errno);
  struct stat status{};
  if (::fstat(pins.lock_.get(), &status) != 0 || !is_trusted(status)) {
    return fail("cannot pin in " + path + ": it" + foreign_pins);
  }
  if (::flock(pins.lock_.get(), LOCK_EX | LOCK_NB) != 0) {
    return errno == EWOULDBLOCK ? fail("cannot pin in " + path + ": another process uses it")
                                : fail_sys("cannot lock " + path, errno);
  }
  const std::string own = "v" + std::to_string(version);
  pins.versioned_ = path + "/" + own;
  for (const std::string& name : entries_of(path)) {
    if (!is_version(name) || name == own) continue;
    std::string found = path;
    found.append("/").append(name);
    if (::rmdir(found.c_str()) == 0) continue;
    std::string what = "cannot pin in " + path;
    what.append(": it holds flows of another version (").append(name);
    what.append(", this program has ").append(own);
    what.append("); serve them to their end with that version, or end them by 'rm -r ");
    return fail(what.append(found).append("'"));
  }
  if (const auto made = make_directory(pins.versioned_); !made) {
    return std::unexpected(made.error());
  }
  return pins;
}

std::optional<UniqueFd> PinDirectory::get(const std::string& name) const {
  auto fd = UniqueFd::adopt(bpf_obj_get((versioned_ + "/" + name).c_str()));
  if (!fd) return std::nullopt;
  return fd;
}

Result<void> PinDirectory::pin(int object_fd, const std::string& name) const {
  const std::string path = versioned_ + "/" + name;
  if (bpf_obj_pin(object_fd, path.c_str()) != 0) return fail_sys("cannot pin " + path, errno);
  return {};
}

void PinDirectory::remove(const std::string& name) const {
  ::unlink((versioned_ + "/" + name).c_str());
}

std::vector<std::string> PinDirectory::names() const {
  return entries_of(versioned_);
}

void PinDirectory::clear() const {
  for (const std::string& name : names()) remove(name);
  ::rmdir(versioned_.c_str());
}

}  // namespace sni
