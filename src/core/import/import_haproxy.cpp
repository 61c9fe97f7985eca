#include "core/import/import_haproxy.h"

// Each `use_backend` of a frontend becomes a route, and `default_backend` one for all other
// clients. haproxy takes the first match; here exact names precede wildcards, which is the intent
// of such files.

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <utility>

#include "core/config/config_forms.h"
#include "core/config/diagnostic.h"
#include "core/decimal.h"
#include "core/import/haproxy_document.h"
#include "core/import/haproxy_match.h"
#include "core/import/haproxy_server.h"
#include "core/limits.h"

namespace sni {
namespace {

using namespace std::chrono_literals;

// They change nothing for clients, or this proxy always behaves so.
constexpr std::array<std::string_view, 13> ignored_keywords{
    "log",        "log-format",       "log-tag",     "description",
    "mode",       "tcp-check",        "http-check",  "id",
    "retries",    "unique-id-format", "monitor-uri", "load-server-state-from-file",
    "email-alert"};
constexpr std::array<std::string_view, 10> passed_options{
    "tcplog",   "httplog",           "dontlognull", "tcpka",     "clitcpka",
    "srvtcpka", "log-health-checks", "redispatch",  "tcp-check", "ssl-hello-chk"};

bool is_proxy(const HaproxySection& section) {
  return section.kind() == "frontend" || section.kind() == "listen";
}

// "*:443", ":443", "ipv4@:443", ":::443" and "443" as addresses to listen on.
std::string haproxy_listen(std::string_view text) {
  bool v6 = false;
  if (text.starts_with("ipv4@")) text.remove_prefix(5);
  if (text.starts_with("ipv6@")) {
    text.remove_prefix(5);
    v6 = true;
  }
  const std::size_t colon = text.rfind(':');
  if (colon == text.npos) return std::string(text);
  const std::string_view host = text.substr(0, colon);
  const std::string port(text.substr(colon));
  if (host.starts_with('[')) return std::string(text);
  if (host == "::" || (v6 && (host.empty() || host == "*"))) return "[::]" + port;
  if (host.empty() || host == "*") return "0.0.0.0" + port;
  if (host.find(':') != host.npos) return '[' + std::string(host) + ']' + port;
  return std::string(host) + port;
}

class HaproxyImport {
 public:
  explicit HaproxyImport(ImportDraft& draft) : draft_(draft) {}
  void run(const std::vector<HaproxySection>& sections);

 private:
  void take_global(const HaproxySection& global);
  void take_defaults(const HaproxySection& defaults);
  void take_resolvers(const HaproxySection& resolvers);
  void take_timeout(const HaproxyLine& line);
  void take_proxy(const HaproxySection& section);
  void take_bind(const HaproxyLine& line, Protocol protocol);
  void take_bind_options(const HaproxyLine& line, const std::vector<ImportPlace>& places);
  void take_acl(const HaproxyLine& line);
  void take_line(const HaproxyLine& line);
  void take_use_backend(const HaproxyLine& line);
  void take_request_rule(const HaproxyLine& line);
  void take_redirect(const HaproxyLine& line);
  void route_to(const HaproxyLine& line, const std::string& backend,
                const std::vector<std::string>& names);
  void note(const HaproxyLine& line, std::string_view why) {
    draft_.note(line.number, line.words, why);
  }
  std::string mode_of(const HaproxySection& section) const;

  ImportDraft& draft_;
  std::string default_mode_ = "tcp";
  std::optional<std::chrono::milliseconds> idle_;
  bool fin_ = false;  // half_closed was set.
  std::map<std::string, ImportPool> pools_;
  // Of the current frontend.
  std::vector<ImportPlace> places_;
  HaproxyAcls acls_;
};

void HaproxyImport::run(const std::vector<HaproxySection>& sections) {
  // Lines about servers from the preceding section `defaults` come first.
  HaproxySection defaults{.head = {.words = {"defaults"}}, .lines = {}};
  for (const HaproxySection& section : sections) {
    if (section.kind() == "defaults") defaults = section;
    if (section.kind() != "backend" && section.kind() != "listen") continue;
    HaproxySection whole = defaults;
    whole.lines.insert(whole.lines.end(), section.lines.begin(), section.lines.end());
    pools_[section.name()] = haproxy_pool(whole, draft_);
  }
  for (const HaproxySection& section : sections) {
    const std::string& kind = section.kind();
    if (kind == "global") {
      take_global(section);
    } else if (kind == "defaults") {
      take_defaults(section);
    } else if (kind == "resolvers") {
      take_resolvers(section);
    } else if (is_proxy(section)) {
      take_proxy(section);
    } else if (kind == "backend") {
      for (const HaproxyLine& line : section.lines) {
        if (!is_of_pool(line)) take_line(line);
      }
    } else {
      draft_.note(section.head.number, section.head.words, "the section has no counterpart");
    }
  }
}

void HaproxyImport::take_global(const HaproxySection& global) {
  // The service manager configures the process and its log.
  constexpr std::array<std::string_view, 14> of_the_process{
      "log", "chroot", "user",    "group",    "daemon", "stats",       "pidfile",
      "uid", "gid",    "ca-base", "crt-base", "node",   "description", "nbproc"};
  for (const HaproxyLine& line : global.lines) {
    const std::string& name = line.words[0];
    if (name.starts_with("ssl-") || name.starts_with("tune.") ||
        std::ranges::find(of_the_process, name) != of_the_process.end()) {
      continue;
    }
    Config& config = draft_.config();
    if (name == "maxconn") {
      const auto connections = parse_decimal(line.word(1), 10'000'000);
      if (connections) config.limits.connections = static_cast<std::uint32_t>(*connections);
    } else if (name == "nbthread") {
      const auto workers = parse_decimal(line.word(1), 1024);
      if (workers) config.workers = static_cast<std::uint32_t>(*workers);
    } else {
      note(line, "no counterpart");
    }
  }
}

void HaproxyImport::take_defaults(const HaproxySection& defaults) {
  default_mode_ = "tcp";
  for (const HaproxyLine& line : defaults.lines) {
    if (line.words[0] == "mode") default_mode_ = line.word(1);
    if (!is_of_pool(line)) take_line(line);
  }
}

void HaproxyImport::take_resolvers(const HaproxySection& resolvers) {
  for (const HaproxyLine& line : resolvers.lines) {
    if (line.words[0] != "nameserver") continue;
    const auto server = forms::dns_server(line.word(2));
    std::vector<Endpoint>& servers = draft_.config().dns.servers;
    if (!server) {
      draft_.note(line.number, server.error().what);
    } else if (servers.size() < limits::dns_servers_max &&
               std::ranges::find(servers, *server) == servers.end()) {
      servers.push_back(*server);
    }
  }
}

// The longest of several timeouts cuts no connection too early.
void HaproxyImport::take_timeout(const HaproxyLine& line) {
  TimeoutConfig& timeouts = draft_.config().timeouts;
  const std::string& which = line.word(1);
  const auto time = import_time(line.word(2), "ms", 1s, 168h);
  if (!time) return note(line, "no time");
  if (which == "connect") {
    timeouts.connect = std::clamp<std::chrono::milliseconds>(*time, 10ms, 1h);
  } else if (which == "client" || which == "server" || which == "tunnel") {
    idle_ = std::max(idle_.value_or(*time), *time);
    timeouts.idle = *idle_;
    if (!fin_) timeouts.half_closed = std::min(TimeoutConfig{}.half_closed, timeouts.idle);
  } else if (which == "client-fin" || which == "server-fin") {
    timeouts.half_closed = *time;
    fin_ = true;
  } else if (which != "queue" && which != "check" && which != "http-request" &&
             which != "http-keep-alive") {
    note(line, "no counterpart");
  }
}

std::string HaproxyImport::mode_of(const HaproxySection& section) const {
  for (const HaproxyLine& line : section.lines) {
    if (line.words[0] == "mode") return line.word(1);
  }
  return default_mode_;
}

void HaproxyImport::take_proxy(const HaproxySection& section) {
  const Protocol protocol = mode_of(section) == "http" ? Protocol::http : Protocol::tls;
  places_.clear();
  acls_.clear();
  for (const HaproxyLine& line : section.lines) {
    if (line.words[0] == "bind") take_bind(line, protocol);
    if (line.words[0] == "acl") take_acl(line);
  }
  if (places_.empty()) {
    return draft_.note(section.head.number, section.head.words,
                       "it has no address where clients could connect to be routed");
  }
  for (const HaproxyLine& line : section.lines) {
    if (line.words[0] == "bind" || line.words[0] == "acl" || is_of_pool(line)) continue;
    if (line.words[0] != "default_backend") take_line(line);
  }
  // Comes last, wherever it is in the file.
  bool has_default = false;
  for (const HaproxyLine& line : section.lines) {
    if (line.words[0] != "default_backend") continue;
    has_default = true;
    route_to(line, line.word(1), {"*"});
  }
  const bool own = section.kind() == "listen" && !pools_[section.name()].servers.empty();
  if (own && !has_default) route_to(section.head, section.name(), {"*"});
}

void HaproxyImport::take_bind(const HaproxyLine& line, Protocol protocol) {
  const auto has = [&line](std::string_view option) {
    return std::ranges::find(line.words, option) != line.words.end();
  };
  if (has("ssl")) return note(line, "it decrypts, and this proxy does not");
  std::string_view name;
  for (std::size_t i = 2; i + 1 < line.words.size(); ++i) {
    if (line.words[i] == "name") name = line.words[i + 1];
  }
  std::vector<ImportPlace> places;
  for (std::string_view rest = line.word(1); !rest.empty();) {
    const std::size_t comma = rest.find(',');
    const auto place = draft_.add_listener(
        line.number,
        {.name = name, .address = haproxy_listen(rest.substr(0, comma)), .protocol = protocol});
    if (place) places.push_back(*place);
    rest.remove_prefix(comma == rest.npos ? rest.size() : comma + 1);
  }
  take_bind_options(line, places);
  places_.insert(places_.end(), places.begin(), places.end());
}

void HaproxyImport::take_bind_options(const HaproxyLine& line,
                                      const std::vector<ImportPlace>& places) {
  for (std::size_t i = 2; i < line.words.size(); ++i) {
    const std::string& option = line.words[i];
    if (option == "name" || option == "backlog" || option == "maxconn" || option == "tcp-ut" ||
        option == "alpn" || option == "id") {
      ++i;
    } else if (option == "accept-proxy") {
      for (const ImportPlace& place : places) {
        draft_.listener(place.listener).accept_proxy_from = {*parse_prefix("0.0.0.0/0"),
                                                             *parse_prefix("::/0")};
      }
      note(line, "believes every client; name the proxies before this one in 'accept_proxy_from'");
    } else if (option == "v6only" || option == "transparent") {
      for (const ImportPlace& place : places) {
        ListenerConfig& listener = draft_.listener(place.listener);
        if (option == "transparent") listener.freebind = true;
        if (option == "v6only") listener.v6only = !listener.address.ip.is_v4();
      }
    } else if (option != "v4v6" && option != "tfo" && option != "defer-accept") {
      return note(line, "'" + printable(option) + "' has no counterpart");
    }
  }
}

void HaproxyImport::take_acl(const HaproxyLine& line) {
  if (line.words.size() < 3) return note(line, "no condition");
  auto match = haproxy_match(std::span(line.words).subspan(2));
  if (!match) note(line, match.error().what);
  const auto [known, added] = acls_.try_emplace(line.words[1], match);
  if (added || !known->second) return;
  if (!match) {
    known->second = std::move(match);
    return;
  }
  known->second->everybody |= match->everybody;
  known->second->names.insert(known->second->names.end(), match->names.begin(), match->names.end());
}

void HaproxyImport::take_line(const HaproxyLine& line) {
  const std::string& name = line.words[0];
  if (name == "timeout") return take_timeout(line);
  if (name == "use_backend") return take_use_backend(line);
  if (name == "tcp-request") return take_request_rule(line);
  if (name == "redirect") return take_redirect(line);
  if (name == "http-request" && line.word(1) == "redirect") return take_redirect(line);
  if (name == "errorfile") return note(line, "answers to clients are the proxy's own");
  if (name == "option") {
    const bool known = std::ranges::find(passed_options, line.word(1)) != passed_options.end();
    if (!known) note(line, "no counterpart");
    return;
  }
  if (std::ranges::find(ignored_keywords, name) != ignored_keywords.end()) return;
  note(line, "no counterpart");
}

void HaproxyImport::take_use_backend(const HaproxyLine& line) {
  const std::string& backend = line.word(1);
  if (backend.find('%') != backend.npos) {
    return note(line, "a name that is made of the request; write a [[route]] for each");
  }
  if (line.words.size() == 2) return route_to(line, backend, {"*"});
  if (line.word(2) != "if") return note(line, "only 'if' has a counterpart");
  auto match = haproxy_condition(std::span(line.words).subspan(3), acls_);
  if (!match) return note(line, match.error().what);
  route_to(line, backend, match->everybody ? std::vector<std::string>{"*"} : match->names);
}

void HaproxyImport::take_request_rule(const HaproxyLine& line) {
  const auto begins = [&line](std::string_view second, std::string_view third) {
    return line.word(1) == second && (third.empty() || line.word(2) == third);
  };
  if (begins("inspect-delay", {})) {
    const auto time = import_time(line.word(2), "ms", 10ms, 1h);
    if (!time) return note(line, "no time");
    draft_.config().timeouts.hello = *time;
  } else if (begins("content", "accept")) {
    // A listener accepts only TLS anyway.
    const std::size_t condition = line.word(3) == "if" ? 4 : 3;
    const auto match = haproxy_condition(std::span(line.words).subspan(condition), acls_);
    if (!match || !match->everybody) note(line, "no counterpart");
  } else {
    note(line, "no counterpart; sources are refused by [access] and [limits]");
  }
}

// "redirect scheme https" in either form.
void HaproxyImport::take_redirect(const HaproxyLine& line) {
  const auto scheme = std::ranges::find(line.words, "scheme");
  const bool https = scheme != line.words.end() && std::next(scheme) != line.words.end() &&
                     *std::next(scheme) == "https";
  const bool http = std::ranges::all_of(places_, [this](const ImportPlace& place) {
    return draft_.listener(place.listener).protocol == Protocol::http;
  });
  const auto condition = std::ranges::find(line.words, "if");
  const bool always = condition == line.words.end() ||
                      std::ranges::find(condition, line.words.end(), "ssl_fc") != line.words.end();
  if (!https || !http || !always) return note(line, "no counterpart");
  draft_.add_redirect(line.number, {"*"}, places_);
}

void HaproxyImport::route_to(const HaproxyLine& line, const std::string& backend,
                             const std::vector<std::string>& names) {
  const auto pool = pools_.find(backend);
  if (pool == pools_.end()) return note(line, "there is no backend " + in_quotes(backend));
  if (pool->second.servers.empty()) return note(line, "the backend has no server");
  draft_.add_route(line.number, names, places_, pool->second);
}

}  // namespace

Result<void> import_haproxy(std::string_view text, ImportDraft& draft) {
  HaproxyImport(draft).run(parse_haproxy(text));
  return {};
}

}  // namespace sni
