#include "bpf/xdp/xdp_probe.h"

#include <bpf/bpf.h>
#include <linux/genetlink.h>
#include <net/if.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
#include <span>

#include "bpf/interface_list.h"
#include "bpf/xdp/xdp_attachment.h"
#include "bpf/xdp/xdp_filter.h"
#include "core/unique_fd.h"

namespace sni {
namespace {

// From linux/netdev.h, which is missing in headers before 6.3.
constexpr const char* netdev_family = "netdev";
constexpr std::uint8_t netdev_cmd_dev_get = 1;
constexpr std::uint16_t netdev_dev_ifindex = 1;
constexpr std::uint16_t netdev_dev_xdp_features = 3;
constexpr std::uint64_t xdp_act_basic = 1;  // All verdicts except redirects.

using Bytes = std::span<const std::byte>;

template <typename T>
std::optional<T> value_of(Bytes bytes) {
  if (bytes.size() < sizeof(T)) return std::nullopt;
  T value;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

// Calls back with type and value of each complete attribute.
template <typename Use>
void for_each_attribute(Bytes bytes, const Use& use) {
  while (const auto header = value_of<nlattr>(bytes)) {
    if (header->nla_len < sizeof(nlattr) || header->nla_len > bytes.size()) return;
    use(header->nla_type & NLA_TYPE_MASK,
        bytes.subspan(sizeof(nlattr), header->nla_len - sizeof(nlattr)));
    bytes = bytes.subspan(std::min<std::size_t>(NLA_ALIGN(header->nla_len), bytes.size()));
  }
}

// A socket of generic netlink, one request at a time.
class GenericNetlink {
 public:
  static Result<GenericNetlink> open() {
    GenericNetlink made;
    made.fd_ = UniqueFd::adopt(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC));
    if (!made.fd_) return fail_sys("cannot ask the kernel over netlink", errno);
    const timeval patience{.tv_sec = 1, .tv_usec = 0};
    setsockopt(made.fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return made;
  }

  // Asks, and calls back with the attributes of each answer.
  template <typename Use>
  Result<void> ask(std::uint16_t family, std::uint8_t command, std::uint16_t flags,
                   std::string_view name, const Use& use) const {
    struct {
      nlmsghdr header{};
      genlmsghdr generic{};
      nlattr attribute{};
      std::array<char, GENL_NAMSIZ> name{};
    } request;
    request.generic = {.cmd = command, .version = 1, .reserved = 0};
    request.header.nlmsg_len = NLMSG_LENGTH(GENL_HDRLEN);
    request.header.nlmsg_type = family;
    request.header.nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
    if (!name.empty()) {
      request.attribute = {.nla_len = static_cast<std::uint16_t>(sizeof(nlattr) + name.size() + 1),
                           .nla_type = CTRL_ATTR_FAMILY_NAME};
      name.copy(request.name.data(), request.name.size() - 1);
      request.header.nlmsg_len += NLA_ALIGN(request.attribute.nla_len);
    }
    if (send(fd_.get(), &request, request.header.nlmsg_len, 0) < 0) {
      return fail_sys("cannot ask the kernel over netlink", errno);
    }
    return receive(flags, use);
  }

 private:
  // Reads until the end of a dump, or the one answer of another request.
  template <typename Use>
  Result<void> receive(std::uint16_t flags, const Use& use) const {
    std::array<std::byte, 32'768> buffer;
    for (;;) {
      const ssize_t size = recv(fd_.get(), buffer.data(), buffer.size(), 0);
      if (size < 0) return fail_sys("the kernel does not answer over netlink", errno);
      Bytes left = Bytes(buffer).first(static_cast<std::size_t>(size));
      while (const auto header = value_of<nlmsghdr>(left)) {
        if (header->nlmsg_len < NLMSG_HDRLEN || header->nlmsg_len > left.size()) break;
        const Bytes body = left.subspan(NLMSG_HDRLEN, header->nlmsg_len - NLMSG_HDRLEN);
        if (header->nlmsg_type == NLMSG_DONE) return {};
        if (header->nlmsg_type == NLMSG_ERROR) {
          const int error = value_of<nlmsgerr>(body).value_or(nlmsgerr{}).error;
          return fail_sys("the kernel refuses a question over netlink", -error);
        }
        if (body.size() >= GENL_HDRLEN) use(body.subspan(GENL_HDRLEN));
        left = left.subspan(std::min<std::size_t>(NLMSG_ALIGN(header->nlmsg_len), left.size()));
      }
      if ((flags & NLM_F_DUMP) == 0) return {};
    }
  }

  UniqueFd fd_;
};

std::string per_cpu_maps() {
  const auto map =
      UniqueFd::adopt(bpf_map_create(BPF_MAP_TYPE_PERCPU_ARRAY, "probe", sizeof(std::uint32_t),
                                     sizeof(std::uint64_t), 1, nullptr));
  return map ? "per-CPU maps: yes"
             : "per-CPU maps: no (" + std::generic_category().message(errno) + ")";
}

std::string native_verdict(const Result<std::map<std::uint32_t, bool>>& native,
                           std::uint32_t index) {
  if (!native) return "native not known (" + native.error().what + ")";
  const auto found = native->find(index);
  if (found == native->end() || !found->second) return "native no (the driver has none)";
  return "native yes, by its driver";
}

}  // namespace

Result<std::map<std::uint32_t, bool>> native_xdp() {
  const auto netlink = GenericNetlink::open();
  if (!netlink) return std::unexpected(netlink.error());
  std::uint16_t family = 0;
  const auto named =
      netlink->ask(GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 0, netdev_family, [&](Bytes attributes) {
        for_each_attribute(attributes, [&](std::uint16_t type, Bytes value) {
          if (type == CTRL_ATTR_FAMILY_ID) family = value_of<std::uint16_t>(value).value_or(0);
        });
      });
  if (!named || family == 0) return fail("drivers say so from Linux 6.3 on");

  std::map<std::uint32_t, bool> native;
  const auto dumped =
      netlink->ask(family, netdev_cmd_dev_get, NLM_F_DUMP, {}, [&](Bytes attributes) {
        std::uint32_t index = 0;
        std::uint64_t features = 0;
        for_each_attribute(attributes, [&](std::uint16_t type, Bytes value) {
          if (type == netdev_dev_ifindex) index = value_of<std::uint32_t>(value).value_or(0);
          if (type == netdev_dev_xdp_features) {
            features = value_of<std::uint64_t>(value).value_or(0);
          }
        });
        native[index] = (features & xdp_act_basic) != 0;
      });
  if (!dumped) return std::unexpected(dumped.error());
  return native;
}

std::vector<std::string> probe_xdp() {
  std::vector<std::string> lines = {per_cpu_maps()};
  const auto filter = XdpFilter::load();
  if (!filter) {
    lines.push_back("XDP: no (" + filter.error().what + ")");
    return lines;
  }
  const auto native = native_xdp();
  const InterfaceList interfaces = list_interfaces();
  if (!interfaces) {
    lines.emplace_back("XDP: the interfaces cannot be listed");
    return lines;
  }
  for (const auto* each = interfaces.get(); each->if_index != 0; ++each) {
    const auto holder = xdp_holder(each->if_index);
    lines.push_back("XDP on " + std::string(each->if_name) + ": " +
                    native_verdict(native, each->if_index) + "; generic yes, as everywhere" +
                    (holder ? "; " + *holder + " is there" : ""));
  }
  return lines;
}

}  // namespace sni
