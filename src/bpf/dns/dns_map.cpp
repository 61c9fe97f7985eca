#include "bpf/dns/dns_map.h"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "bpf/trusted_pins.h"

namespace sni {
namespace {

constexpr const char* records_name = "DNS_CACHE";
constexpr const char* key_name = "DNS_CACHE_KEY";
constexpr std::uint32_t only = 0;  // The one entry of DNS_CACHE_KEY.

// To be raised with any change of DnsRecord or of the hashed bytes: pins of another version are
// refused.
constexpr std::uint64_t layout_version = 2;
struct KeyRecord {
  std::uint64_t version;
  SipKey key;
};
static_assert(sizeof(KeyRecord) == 24);

struct Shape {
  const char* name;
  bpf_map_type type;
  std::uint32_t key_bytes;
  std::uint32_t value_bytes;
};
constexpr Shape records_shape{records_name, BPF_MAP_TYPE_LRU_HASH, sizeof(std::uint64_t),
                              sizeof(DnsRecord)};
constexpr Shape key_shape{key_name, BPF_MAP_TYPE_ARRAY, sizeof only, sizeof(KeyRecord)};

Result<UniqueFd> create_map(const Shape& shape, std::uint32_t entries) {
  auto map = UniqueFd::adopt(
      bpf_map_create(shape.type, shape.name, shape.key_bytes, shape.value_bytes, entries, nullptr));
  if (map) return map;
  const int error = errno;
  auto failed = fail_sys(std::string("cannot create the map ") + shape.name, error);
  if (error == EPERM) failed.error().what += " (needs CAP_BPF)";
  return failed;
}

std::string path_of(const std::string& directory, const char* name) {
  return directory + "/" + name;
}

std::string unusable(const std::string& path) {
  return "cannot use the pin " + path;
}

Result<UniqueFd> open_directory(const std::string& directory) {
  if (mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
    return fail_sys("cannot create the pin directory " + directory, errno);
  }
  auto opened =
      UniqueFd::adopt(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat status{};
  struct statfs system{};
  if (!opened || fstat(opened.get(), &status) != 0 || fstatfs(opened.get(), &system) != 0) {
    return fail_sys("cannot open the pin directory " + directory, errno);
  }
  if (system.f_type != BPF_FS_MAGIC) {
    return fail("the pin directory " + directory +
                " is not on a BPF file system (mount -t bpf bpf /sys/fs/bpf)");
  }
  if (!is_trusted(status)) {
    return fail("the pin directory " + directory + foreign_pins);
  }
  return opened;
}

// nullopt: there is no such pin.
Result<std::optional<UniqueFd>> open_pin(const std::string& directory, int directory_fd,
                                         const Shape& shape) {
  const std::string path = path_of(directory, shape.name);
  struct stat status{};
  if (fstatat(directory_fd, shape.name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) return std::nullopt;
    return fail_sys(unusable(path), errno);
  }
  if (!S_ISREG(status.st_mode) || !is_trusted(status)) {
    return fail(unusable(path) + ": it" + foreign_pins);
  }
  auto map = UniqueFd::adopt(bpf_obj_get(path.c_str()));
  bpf_map_info info{};
  std::uint32_t bytes = sizeof info;
  if (!map || bpf_obj_get_info_by_fd(map.get(), &info, &bytes) != 0) {
    return fail_sys(unusable(path), errno);
  }
  if (info.type != shape.type || info.key_size != shape.key_bytes ||
      info.value_size != shape.value_bytes || info.map_flags != 0) {
    return fail(unusable(path) + ": it has another layout, of another version of this program; " +
                "remove it to have a new one made");
  }
  return map;
}

}  // namespace

Result<DnsMap> DnsMap::create(std::uint32_t names_max) {
  DnsMap made;
  auto records = create_map(records_shape, names_max);
  if (!records) return std::unexpected(records.error());
  auto key_map = create_map(key_shape, 1);
  if (!key_map) return std::unexpected(key_map.error());
  made.records_ = std::move(*records);
  made.key_map_ = std::move(*key_map);
  if (getrandom(made.key_.data(), sizeof made.key_, 0) != sizeof made.key_) {
    return fail_sys("cannot draw a hash key", errno);
  }
  const KeyRecord record{.version = layout_version, .key = made.key_};
  if (bpf_map_update_elem(made.key_map_.get(), &only, &record, BPF_ANY) != 0) {
    return fail_sys("cannot write DNS_CACHE_KEY", errno);
  }
  return made;
}

Result<DnsMap> DnsMap::open_pinned(const std::string& directory, std::uint32_t names_max) {
  const auto opened = open_directory(directory);
  if (!opened) return std::unexpected(opened.error());
  // Twice: another process may pin its maps between our two steps.
  for (int attempt = 0; attempt < 2; ++attempt) {
    auto found = find_pinned(directory, opened->get());
    if (!found) return std::unexpected(found.error());
    if (*found) return std::move(**found);
    auto made = create(names_max);
    if (!made) return made;
    const auto pinned = made->pin(directory);
    if (!pinned) return std::unexpected(pinned.error());
    if (*pinned) return made;
  }
  return fail("another process changes the pins in " + directory);
}

// nullopt: at least one is missing.
Result<std::optional<DnsMap>> DnsMap::find_pinned(const std::string& directory, int directory_fd) {
  auto records = open_pin(directory, directory_fd, records_shape);
  if (!records) return std::unexpected(records.error());
  auto key_map = open_pin(directory, directory_fd, key_shape);
  if (!key_map) return std::unexpected(key_map.error());
  if (!*records || !*key_map) return std::nullopt;
  DnsMap found;
  found.records_ = std::move(**records);
  found.key_map_ = std::move(**key_map);
  found.was_pinned_ = true;
  KeyRecord record{};
  if (bpf_map_lookup_elem(found.key_map_.get(), &only, &record) != 0) {
    return fail_sys(unusable(path_of(directory, key_name)), errno);
  }
  if (record.version != layout_version) {
    return fail(
        unusable(path_of(directory, key_name)) +
        ": it is of another version of this program; remove both pins to have new ones made");
  }
  found.key_ = record.key;
  return found;
}

// False: another process has pinned meanwhile. The key is pinned first: an interrupted attempt, a
// key without records, is replaced.
Result<bool> DnsMap::pin(const std::string& directory) const {
  const std::string key_path = path_of(directory, key_name);
  const std::string records_path = path_of(directory, records_name);
  if (unlink(key_path.c_str()) != 0 && errno != ENOENT) return fail_sys(unusable(key_path), errno);
  // Without its key a record cannot be found.
  if (unlink(records_path.c_str()) != 0 && errno != ENOENT) {
    return fail_sys(unusable(records_path), errno);
  }
  for (const auto& [fd, path] :
       {std::pair{key_map_.get(), key_path}, std::pair{records_.get(), records_path}}) {
    if (bpf_obj_pin(fd, path.c_str()) == 0) continue;
    if (errno == EEXIST) return false;
    return fail_sys("cannot pin " + path, errno);
  }
  return true;
}

std::optional<KeptAnswer> DnsMap::find(std::string_view name, const DnsContext& context) const {
  const std::uint64_t hash = siphash(key_, name);
  DnsRecord record{};
  if (bpf_map_lookup_elem(records_.get(), &hash, &record) != 0) return std::nullopt;
  return read_dns_record(key_, name, record, context);
}

void DnsMap::store(std::string_view name, const Resolution& answer, const DnsContext& context,
                   std::uint64_t kept_ms) const {
  const auto record = make_dns_record(key_, name, answer, context, kept_ms);
  if (!record) return;
  const std::uint64_t hash = siphash(key_, name);
  // If it fails, a worker asks once more.
  bpf_map_update_elem(records_.get(), &hash, &*record, BPF_ANY);
}

}  // namespace sni
