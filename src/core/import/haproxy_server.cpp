#include "core/import/haproxy_server.h"

#include <algorithm>
#include <array>
#include <optional>

#include "core/config/config_forms.h"
#include "core/config/diagnostic.h"
#include "core/decimal.h"
#include "core/limits.h"

namespace sni {
namespace {

constexpr std::array<std::string_view, 6> pool_words{"server",  "default-server", "server-template",
                                                     "balance", "source",         "hash-type"};

// Options of a server, with the number of words after each. Other options are noted.
struct Option {
  std::string_view name;
  std::size_t arguments;
};
// They have no counterpart and change nothing for clients, or this proxy always behaves so.
constexpr std::array<Option, 25> ignored_options{{{"inter", 1},
                                                  {"fastinter", 1},
                                                  {"downinter", 1},
                                                  {"rise", 1},
                                                  {"fall", 1},
                                                  {"port", 1},
                                                  {"addr", 1},
                                                  {"on-error", 1},
                                                  {"error-limit", 1},
                                                  {"on-marked-down", 1},
                                                  {"on-marked-up", 1},
                                                  {"slowstart", 1},
                                                  {"cookie", 1},
                                                  {"id", 1},
                                                  {"track", 1},
                                                  {"init-addr", 1},
                                                  {"resolvers", 1},
                                                  {"resolve-prefer", 1},
                                                  {"check-send-proxy", 0},
                                                  {"check-ssl", 0},
                                                  {"check-sni", 1},
                                                  {"check-alpn", 1},
                                                  {"observe", 1},
                                                  {"no-check", 0},
                                                  {"resolve-opts", 1}}};

class Servers {
 public:
  explicit Servers(ImportDraft& draft) : draft_(draft) {}
  ImportPool read(const HaproxySection& section);

 private:
  void read_line(const HaproxyLine& line);
  void read_balance(const HaproxyLine& line);
  void read_source(const HaproxyLine& line);
  void read_server(const HaproxyLine& line, std::size_t address_at);
  bool read_options(const HaproxyLine& line, std::size_t first, ImportServer& server);

  ImportDraft& draft_;
  ImportPool pool_;
  ImportServer otherwise_;  // Defaults from default-server.
};

ImportPool Servers::read(const HaproxySection& section) {
  for (const HaproxyLine& line : section.lines) read_line(line);
  return std::move(pool_);
}

void Servers::read_line(const HaproxyLine& line) {
  const std::string& word = line.words[0];
  if (word == "server" && line.words.size() > 2) read_server(line, 2);
  // NAME COUNT ADDRESS: all addresses of the name are used.
  if (word == "server-template" && line.words.size() > 3) read_server(line, 3);
  if (word == "default-server") read_options(line, 1, otherwise_);
  if (word == "balance") read_balance(line);
  if (word == "source") read_source(line);
}

void Servers::read_balance(const HaproxyLine& line) {
  constexpr std::array<std::pair<std::string_view, Balance>, 6> kinds{
      {{"roundrobin", Balance::round_robin},
       {"static-rr", Balance::round_robin},
       {"leastconn", Balance::least_connections},
       {"first", Balance::first},
       {"source", Balance::source_hash},
       {"random", Balance::random_two}}};
  const std::string_view wanted = line.words.size() > 1 ? line.words[1] : std::string_view();
  for (const auto& [name, balance] : kinds) {
    if (wanted.substr(0, wanted.find('(')) != name) continue;
    pool_.balance = balance;
    return;
  }
  draft_.note(line.number, line.words, "backends take turns instead");
}

void Servers::read_source(const HaproxyLine& line) {
  const std::string_view text = line.words.size() > 1 ? line.words[1] : std::string_view();
  const bool client = std::ranges::find(line.words, "clientip") != line.words.end() ||
                      std::ranges::find(line.words, "client") != line.words.end();
  if (client) {
    pool_.source.transparent = true;
    return draft_.note(line.number, line.words,
                       "taken over as 'transparent', which needs routes on this host: "
                       "docs/source.md");
  }
  const auto address = forms::bind_address(text.substr(0, text.find(':')));
  if (!address || line.words.size() > 2) {
    return draft_.note(line.number, line.words, "connections come from the usual address instead");
  }
  pool_.source.addresses = {*address};
}

// "ipv4@10.0.0.1:443", "unix@/run/x.sock", "/run/x.sock".
std::string address_of(std::string_view text) {
  for (const std::string_view family : {"ipv4@", "ipv6@"}) {
    if (text.starts_with(family)) return std::string(text.substr(family.size()));
  }
  if (text.starts_with("unix@")) return "unix:" + std::string(text.substr(5));
  if (text.starts_with('/')) return "unix:" + std::string(text);
  return std::string(text);
}

void Servers::read_server(const HaproxyLine& line, std::size_t address_at) {
  ImportServer server = otherwise_;
  server.address = address_of(line.words[address_at]);
  if (read_options(line, address_at + 1, server)) pool_.servers.push_back(std::move(server));
}

// False: the server is out of use.
bool Servers::read_options(const HaproxyLine& line, std::size_t first, ImportServer& server) {
  for (std::size_t i = first; i < line.words.size(); ++i) {
    const std::string& option = line.words[i];
    const auto known = std::ranges::find(ignored_options, option, &Option::name);
    if (option == "check") {
      pool_.is_checked = true;
      draft_.note_once(
          line.number,
          "'check' becomes a health check of its own, which only connects, at the usual "
          "intervals, and for all servers of a backend");
    } else if (known != ignored_options.end()) {
      i += known->arguments;
    } else if (option == "backup") {
      server.backup = true;
    } else if (option == "send-proxy") {
      pool_.send_proxy = ProxyVersion::v1;
    } else if (option == "send-proxy-v2") {
      pool_.send_proxy = ProxyVersion::v2;
    } else if (option == "weight" && i + 1 < line.words.size()) {
      const auto weight = parse_decimal(line.words[++i], limits::backend_weight_max);
      if (weight == 0) {
        draft_.note(line.number, line.words, "a server of weight 0 is left out");
        return false;
      }
      server.weight = static_cast<std::uint32_t>(weight.value_or(1));
    } else if (option == "maxconn" && i + 1 < line.words.size()) {
      server.connections_max = parse_decimal(line.words[++i], UINT32_MAX).value_or(0);
    } else if (option == "disabled") {
      draft_.note(line.number, line.words, "a server that is disabled is left out");
      return false;
    } else {
      // Its number of arguments is unknown.
      draft_.note(line.number, line.words, "'" + printable(option) + "' has no counterpart");
      return true;
    }
  }
  return true;
}

}  // namespace

ImportPool haproxy_pool(const HaproxySection& section, ImportDraft& draft) {
  return Servers(draft).read(section);
}

bool is_of_pool(const HaproxyLine& line) {
  return std::ranges::find(pool_words, line.words[0]) != pool_words.end();
}

}  // namespace sni
