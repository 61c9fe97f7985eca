#include "bpf/packet/saved_flows.h"

#include <bpf/bpf.h>

#include <algorithm>
#include <cerrno>
#include <string>

namespace sni {
namespace {

constexpr const char* map_name = "SAVED_FLOWS";

Result<UniqueFd> checked(UniqueFd map) {
  bpf_map_info info{};
  __u32 size = sizeof info;
  if (bpf_obj_get_info_by_fd(map.get(), &info, &size) != 0) {
    return fail_sys("cannot look at the pinned map SAVED_FLOWS", errno);
  }
  if (info.type != BPF_MAP_TYPE_HASH || info.key_size != sizeof(std::uint64_t) ||
      info.value_size != sizeof(SavedFlow)) {
    return fail("the pinned map SAVED_FLOWS has another shape; remove it");
  }
  return map;
}

}  // namespace

std::string_view SavedFlow::text(SavedText which) const {
  const auto index = static_cast<std::size_t>(which);
  const std::size_t end = std::min<std::size_t>(ends[index], bytes.size());
  const std::size_t begin = index == 0 ? 0 : std::min<std::size_t>(ends[index - 1], end);
  return {bytes.data() + begin, end - begin};
}

void SavedFlow::set_texts(std::span<const std::string_view, saved_texts> texts) {
  std::size_t at = 0;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    at += texts[i].copy(bytes.data() + at, bytes.size() - at);
    ends[i] = static_cast<std::uint16_t>(at);
  }
}

SavedEndpoint saved(const Endpoint& endpoint) {
  return {.ip = endpoint.ip.bytes, .scope = endpoint.scope, .port = endpoint.port, .unused = 0};
}

Endpoint restored(const SavedEndpoint& endpoint) {
  return {.ip = {.bytes = endpoint.ip}, .port = endpoint.port, .scope = endpoint.scope};
}

Result<SavedFlows> SavedFlows::open(const PinDirectory& pins, std::uint32_t flows_max) {
  SavedFlows opened;
  if (auto pinned = pins.get(map_name)) {
    auto map = checked(std::move(*pinned));
    if (!map) return std::unexpected(map.error());
    opened.map_ = std::move(*map);
    return opened;
  }
  const bpf_map_create_opts options{.sz = sizeof options, .map_flags = BPF_F_NO_PREALLOC};
  opened.map_ = UniqueFd::adopt(bpf_map_create(BPF_MAP_TYPE_HASH, map_name, sizeof(std::uint64_t),
                                               sizeof(SavedFlow), flows_max, &options));
  if (!opened.map_) return fail_sys("cannot make the map SAVED_FLOWS", errno);
  if (auto pinned = pins.pin(opened.map_.get(), map_name); !pinned) {
    return std::unexpected(pinned.error());
  }
  return opened;
}

Result<void> SavedFlows::save(std::uint64_t name, const SavedFlow& flow) const {
  if (bpf_map_update_elem(map_.get(), &name, &flow, BPF_ANY) == 0) return {};
  return fail_sys("cannot save a flow for a later process", errno);
}

void SavedFlows::remove(std::uint64_t name) const {
  bpf_map_delete_elem(map_.get(), &name);
}

// Reads key after key: it runs only at start, without concurrent changes.
std::vector<std::pair<std::uint64_t, SavedFlow>> SavedFlows::all() const {
  std::vector<std::pair<std::uint64_t, SavedFlow>> flows;
  std::uint64_t name = 0;
  for (const std::uint64_t* last = nullptr; bpf_map_get_next_key(map_.get(), last, &name) == 0;
       last = &name) {
    std::pair<std::uint64_t, SavedFlow> each{name, {}};
    if (bpf_map_lookup_elem(map_.get(), &name, &each.second) == 0) flows.push_back(each);
  }
  return flows;
}

bool SavedFlows::empty() const {
  std::uint64_t name = 0;
  return bpf_map_get_next_key(map_.get(), nullptr, &name) != 0;
}

}  // namespace sni
