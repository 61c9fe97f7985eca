#include "core/import/import_nginx.h"

// A server of the stream block with `ssl_preread on` listens, and `proxy_pass` says where its
// clients go: to a fixed place, to the requested name, or to the result of a map of that name.

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <tuple>

#include "core/config/config_forms.h"
#include "core/config/diagnostic.h"
#include "core/import/brace_document.h"
#include "core/import/name_patterns.h"
#include "core/import/nginx_upstream.h"
#include "core/limits.h"

namespace sni {
namespace {

using namespace std::chrono_literals;
using Directives = std::vector<Directive>;

constexpr std::string_view asked_name = "$ssl_preread_server_name";
// Options of `listen` that change nothing for clients, or that this proxy always has.
constexpr std::array<std::string_view, 9> ignored_parameters{
    "reuseport", "backlog",  "rcvbuf",   "sndbuf",        "so_keepalive",
    "bind",      "deferred", "fastopen", "default_server"};

// "443" is every IPv4 address, and so is "*:443".
std::string nginx_listen(std::string_view text) {
  if (text.find_first_not_of("0123456789") == text.npos) return "0.0.0.0:" + std::string(text);
  if (text.starts_with("*:")) return "0.0.0.0" + std::string(text.substr(1));
  return std::string(text);
}

// "$name" and "${name}" as "$name".
std::string plain_variable(std::string_view text) {
  const bool braces = text.starts_with("${") && text.ends_with('}');
  return braces ? '$' + std::string(text.substr(2, text.size() - 3)) : std::string(text);
}

class NginxImport {
 public:
  explicit NginxImport(ImportDraft& draft) : draft_(draft) {}
  void run(const Directives& all);

 private:
  void take_stream(const Directives& stream);
  bool take_common(const Directive& directive);
  void take_resolver(const Directive& directive);
  void take_timeout(const Directive& directive);
  void take_server(const Directive& server);
  void take_server_key(const Directive& directive);
  void take_listen(const Directive& directive);
  void take_listen_options(const Directive& directive, const ImportPlace& place);
  void take_bind(const Directive& directive);
  void take_pass(const Directive& pass);
  void take_map(const Directive& map);
  void route_to(const Directive& by, const std::string& target,
                const std::vector<std::string>& names);
  void believe_proxies();
  void note(const Directive& directive, std::string_view why) {
    draft_.note(directive.line, directive.words, why);
  }

  ImportDraft& draft_;
  std::map<std::string, ImportPool> upstreams_;
  std::map<std::string, const Directive*> maps_;  // By the variable that they define.
  // Of the stream block, or of the current server.
  bool preread_ = false;
  ProxyVersion send_proxy_ = ProxyVersion::none;
  SourceConfig source_;
  std::vector<IpPrefix> proxies_;  // set_real_ip_from
  // Of the current server.
  std::vector<ImportPlace> places_;
  std::vector<std::string> names_;
  bool accepts_proxy_ = false;
};

void NginxImport::run(const Directives& all) {
  constexpr std::array<std::string_view, 9> of_the_process{
      "user", "pid",    "error_log", "worker_processes", "worker_rlimit_nofile",
      "env",  "daemon", "events",    "load_module"};
  for (const Directive& directive : all) {
    const std::string& name = directive.words[0];
    if (name == "stream" && directive.has_block) {
      take_stream(directive.block);
    } else if (name == "http" || name == "mail") {
      draft_.note(directive.line, in_quotes(name) + ": only the stream block is taken over");
    } else if (name == "include") {
      note(directive, "no file is read but this one; `nginx -T` prints all of them as one");
    } else if (std::ranges::find(of_the_process, name) == of_the_process.end()) {
      note(directive, "no counterpart");
    }
  }
}

void NginxImport::take_stream(const Directives& stream) {
  for (const Directive& directive : stream) {
    const std::string& name = directive.words[0];
    if (name == "upstream") upstreams_[directive.word(1)] = nginx_upstream(directive, draft_);
    if (name == "map") maps_[plain_variable(directive.word(2))] = &directive;
    if (name == "ssl_preread") preread_ = directive.word(1) == "on";
    if (name == "proxy_protocol" && directive.word(1) == "on") send_proxy_ = ProxyVersion::v1;
  }
  for (const Directive& directive : stream) {
    const std::string& name = directive.words[0];
    if (name == "server") {
      take_server(directive);
    } else if (name != "upstream" && name != "map" && name != "ssl_preread" &&
               name != "proxy_protocol" && !take_common(directive)) {
      note(directive, "no counterpart");
    }
  }
}

// Directives of both the stream block and a server.
bool NginxImport::take_common(const Directive& directive) {
  const std::string& name = directive.words[0];
  if (name == "resolver") {
    take_resolver(directive);
  } else if (name == "proxy_connect_timeout" || name == "proxy_timeout" ||
             name == "preread_timeout") {
    take_timeout(directive);
  } else if (name == "set_real_ip_from") {
    const auto prefix = forms::prefix(directive.word(1));
    if (!prefix) draft_.note(directive.line, prefix.error().what);
    if (prefix) proxies_.push_back(*prefix);
  } else if (name == "access_log" && directive.word(1).starts_with('/')) {
    if (!draft_.set_access_file(directive.word(1))) {
      note(directive, "there is one file for all listeners");
    }
  } else {
    return name == "log_format" || name == "access_log" || name == "error_log" ||
           name == "tcp_nodelay" || name == "proxy_buffer_size" || name == "preread_buffer_size" ||
           name == "resolver_timeout" || name == "proxy_socket_keepalive" ||
           name == "map_hash_bucket_size" || name == "map_hash_max_size" ||
           name == "proxy_next_upstream" || name == "variables_hash_max_size";
  }
  return true;
}

void NginxImport::take_resolver(const Directive& directive) {
  for (std::size_t i = 1; i < directive.words.size(); ++i) {
    const std::string& text = directive.words[i];
    std::vector<Endpoint>& servers = draft_.config().dns.servers;
    if (text == "ipv6=off") draft_.config().dns.family = AddressFamilies::ipv4;
    if (text == "ipv4=off") draft_.config().dns.family = AddressFamilies::ipv6;
    if (text.find('=') != text.npos) continue;
    // IPv6 is in brackets with and without a port.
    const bool bare = text.starts_with('[') && text.ends_with(']');
    const auto server = forms::dns_server(bare ? text.substr(1, text.size() - 2) : text);
    if (!server) {
      draft_.note(directive.line, server.error().what);
    } else if (servers.size() < limits::dns_servers_max &&
               std::ranges::find(servers, *server) == servers.end()) {
      servers.push_back(*server);
    }
  }
}

void NginxImport::take_timeout(const Directive& directive) {
  TimeoutConfig& timeouts = draft_.config().timeouts;
  const std::string& name = directive.words[0];
  if (name == "proxy_timeout") {
    const auto time = import_time(directive.word(1), "s", 1s, 168h);
    if (!time) return note(directive, "no time in one unit");
    timeouts.idle = *time;
    timeouts.half_closed = std::min(timeouts.half_closed, timeouts.idle);
    return;
  }
  const auto time = import_time(directive.word(1), "s", 10ms, 1h);
  if (!time) return note(directive, "no time in one unit");
  (name == "preread_timeout" ? timeouts.hello : timeouts.connect) = *time;
}

void NginxImport::take_server(const Directive& server) {
  const auto before = std::tuple(preread_, send_proxy_, source_, proxies_);
  places_.clear();
  names_.clear();
  accepts_proxy_ = false;
  const Directive* pass = nullptr;
  for (const Directive& directive : server.block) {
    if (directive.words[0] == "ssl_preread") preread_ = directive.word(1) == "on";
    if (directive.words[0] == "proxy_pass") pass = &directive;
  }
  if (!preread_) {
    note(server, "without 'ssl_preread on' it does not route by server name");
  } else {
    for (const Directive& directive : server.block) take_server_key(directive);
    if (accepts_proxy_) believe_proxies();
    if (pass != nullptr && !places_.empty()) take_pass(*pass);
    if (pass == nullptr) note(server, "it has no 'proxy_pass'");
  }
  std::tie(preread_, send_proxy_, source_, proxies_) = before;
}

void NginxImport::take_server_key(const Directive& directive) {
  const std::string& name = directive.words[0];
  if (name == "ssl_preread" || name == "proxy_pass" || take_common(directive)) return;
  if (name == "listen") {
    take_listen(directive);
  } else if (name == "server_name") {
    for (std::size_t i = 1; i < directive.words.size(); ++i) {
      const std::string& text = directive.words[i];
      const auto names =
          text.starts_with('~') ? names_of_regex(text.substr(1)) : names_of_host(text);
      if (names.empty()) note(directive, in_quotes(text) + " gives no names for a route");
      names_.insert(names_.end(), names.begin(), names.end());
    }
  } else if (name == "proxy_protocol") {
    send_proxy_ = directive.word(1) == "on" ? ProxyVersion::v1 : ProxyVersion::none;
  } else if (name == "proxy_bind") {
    take_bind(directive);
  } else {
    note(directive, "no counterpart");
  }
}

void NginxImport::take_listen(const Directive& directive) {
  for (const std::string_view option : {"ssl", "udp", "quic"}) {
    if (std::ranges::find(directive.words, option) == directive.words.end()) continue;
    return note(directive, option == "ssl" ? "it decrypts, and this proxy does not"
                                           : "listeners are TCP only");
  }
  const auto place = draft_.add_listener(
      directive.line,
      {.name = {}, .address = nginx_listen(directive.word(1)), .protocol = Protocol::tls});
  if (!place) return;
  places_.push_back(*place);
  take_listen_options(directive, *place);
}

void NginxImport::take_listen_options(const Directive& directive, const ImportPlace& place) {
  ListenerConfig& listener = draft_.listener(place.listener);
  const auto has = [&directive](std::string_view option) {
    return std::ranges::find(directive.words, option) != directive.words.end();
  };
  listener.v6only = !listener.address.ip.is_v4() && !has("ipv6only=off");
  for (std::size_t i = 2; i < directive.words.size(); ++i) {
    const std::string_view option = directive.words[i];
    const std::string_view name = option.substr(0, option.find('='));
    if (name == "ipv6only" ||
        std::ranges::find(ignored_parameters, name) != ignored_parameters.end())
      continue;
    if (option == "proxy_protocol") {
      accepts_proxy_ = true;
    } else {
      note(directive, in_quotes(option) + " has no counterpart");
    }
  }
}

// Listeners that accept PROXY headers accept them from the addresses named here.
void NginxImport::believe_proxies() {
  if (proxies_.empty()) {
    proxies_ = {*parse_prefix("0.0.0.0/0"), *parse_prefix("::/0")};
    draft_.note_once(0,
                     "a listener believes the PROXY headers of every client; name the proxies "
                     "before this one in 'accept_proxy_from'");
  }
  for (const ImportPlace& place : places_) {
    draft_.listener(place.listener).accept_proxy_from = proxies_;
  }
}

void NginxImport::take_bind(const Directive& directive) {
  source_ = {};
  if (directive.word(1) == "off") return;
  if (directive.word(2) == "transparent") {
    source_.transparent = true;
    return note(directive,
                "taken over as 'transparent', which needs routes on this host: docs/source.md");
  }
  const auto address = forms::bind_address(directive.word(1));
  if (!address) return draft_.note(directive.line, address.error().what);
  source_.addresses = {*address};
}

void NginxImport::take_pass(const Directive& pass) {
  const std::string target = plain_variable(pass.word(1));
  if (const auto map = maps_.find(target); map != maps_.end()) return take_map(*map->second);
  route_to(pass, target, names_.empty() ? std::vector<std::string>{"*"} : names_);
}

void NginxImport::take_map(const Directive& map) {
  if (plain_variable(map.word(1)) != asked_name) {
    return note(map, "routes go by $ssl_preread_server_name alone");
  }
  for (const Directive& entry : map.block) {
    const std::string& key = entry.words[0];
    if (entry.words.size() == 1 && (key == "hostnames" || key == "volatile")) continue;
    if (key == "include") {
      note(entry, "no file is read but this one; `nginx -T` prints all of them as one");
      continue;
    }
    std::vector<std::string> names;
    if (key == "default") {
      names = {"*"};
    } else if (key.empty()) {
      names = {"-"};
    } else if (key.starts_with('~')) {
      names = names_of_regex(key.substr(key.starts_with("~*") ? 2 : 1));
    } else {
      names = names_of_host(key.starts_with('\\') ? key.substr(1) : key);
    }
    if (names.empty()) {
      note(entry, "it gives no names for a route");
    } else {
      route_to(entry, plain_variable(entry.word(1)), names);
    }
  }
}

// `by` is the line that sets this route.
void NginxImport::route_to(const Directive& by, const std::string& target,
                           const std::vector<std::string>& names) {
  ImportPool pool;
  if (const auto upstream = upstreams_.find(target); upstream != upstreams_.end()) {
    pool = upstream->second;
  } else if (target.starts_with(asked_name)) {
    pool.servers.push_back({.address = "{name}" + target.substr(asked_name.size())});
    draft_.note_once(by.line,
                     "names that clients ask for do not lead to private addresses here; "
                     "'allow_private' in [[route]] lets them");
  } else if (target.empty() || target.find('$') != target.npos) {
    return note(by, "it leads to no place that is known beforehand");
  } else {
    pool.servers.push_back({.address = target});
  }
  if (pool.servers.empty()) return note(by, "the upstream has no server");
  pool.send_proxy = send_proxy_;
  pool.source = source_;
  draft_.add_route(by.line, names, places_, pool);
}

}  // namespace

Result<void> import_nginx(std::string_view text, ImportDraft& draft) {
  const auto document = parse_braces(text, BraceStyle::semicolons);
  if (!document) return std::unexpected(document.error());
  NginxImport(draft).run(*document);
  return {};
}

}  // namespace sni
