#include "core/import/import_sniproxy.h"

// A listener refers to a table by name or uses the one without a name. Its entries are tried in
// order: an expression that is searched for in the server name, and an address, where "*" is the
// requested name. Clients that no entry matches go to the listener's fallback.

#include <algorithm>
#include <map>
#include <optional>

#include "core/address/address.h"
#include "core/config/config_forms.h"
#include "core/config/diagnostic.h"
#include "core/import/brace_document.h"
#include "core/import/name_patterns.h"

namespace sni {
namespace {

using Directives = std::vector<Directive>;

// "443" is every address of both families.
std::string sniproxy_listen(std::string_view text) {
  if (text.find_first_not_of("0123456789") == text.npos) return "[::]:" + std::string(text);
  if (text.starts_with("*:")) return "[::]" + std::string(text.substr(1));
  return std::string(text);
}

class SniproxyImport {
 public:
  explicit SniproxyImport(ImportDraft& draft) : draft_(draft) {}
  void run(const Directives& all);

 private:
  void take_general(const Directive& directive);
  void take_resolver(const Directive& resolver);
  void take_nameserver(const Directive& directive);
  void take_log(const Directive& log, bool access);
  void take_listener(const Directive& listener);
  void take_listener_key(const Directive& directive);
  void take_source(const Directive& directive);
  void take_table(std::uint32_t line, const std::string& name);
  void take_entry(const Directive& entry);
  void take_fallback(const Directive& fallback);

  ImportDraft& draft_;
  std::map<std::string, const Directive*> tables_;
  // Of the current listener.
  std::vector<ImportPlace> places_;
  SourceConfig source_;
  const Directive* fallback_ = nullptr;
  std::string table_;
  bool v6only_ = false;
};

void SniproxyImport::run(const Directives& all) {
  for (const Directive& directive : all) {
    if (directive.words[0] == "table") tables_.emplace(directive.word(1), &directive);
  }
  for (const Directive& directive : all) {
    if (directive.words[0] == "listener" || directive.words[0] == "listen") {
      take_listener(directive);
    } else if (directive.words[0] != "table") {
      take_general(directive);
    }
  }
}

void SniproxyImport::take_general(const Directive& directive) {
  const std::string& name = directive.words[0];
  if (name == "resolver") return take_resolver(directive);
  if (name == "access_log") return take_log(directive, true);
  if (name == "error_log") return take_log(directive, false);
  if (name == "user" || name == "username" || name == "group" || name == "groupname") {
    return draft_.note(directive.line, directive.words, "the service manager sets the user");
  }
  if (name == "pidfile") {
    return draft_.note(directive.line, directive.words,
                       "there is no such file, since the proxy stays in the foreground");
  }
  draft_.note(directive.line, directive.words, "unknown here");
}

void SniproxyImport::take_resolver(const Directive& resolver) {
  for (const Directive& directive : resolver.block) {
    const std::string& mode = directive.word(1);
    if (directive.words[0] == "nameserver") {
      take_nameserver(directive);
    } else if (directive.words[0] == "mode" && mode == "ipv4_only") {
      draft_.config().dns.family = AddressFamilies::ipv4;
    } else if (directive.words[0] == "mode" && mode == "ipv6_only") {
      draft_.config().dns.family = AddressFamilies::ipv6;
    } else if (directive.words[0] == "mode" && mode == "ipv4_first") {
      draft_.config().dns.family = AddressFamilies::prefer_ipv4;
    } else if (directive.words[0] != "mode") {
      draft_.note(directive.line, directive.words, "it is in /etc/resolv.conf here");
    }
  }
}

void SniproxyImport::take_nameserver(const Directive& directive) {
  const auto server = forms::dns_server(directive.word(1));
  std::vector<Endpoint>& servers = draft_.config().dns.servers;
  if (!server) return draft_.note(directive.line, server.error().what);
  if (servers.size() == limits::dns_servers_max) {
    return draft_.note(directive.line, directive.words, "one resolver too many");
  }
  servers.push_back(*server);
}

void SniproxyImport::take_log(const Directive& log, bool access) {
  for (const Directive& directive : log.block) {
    if (directive.words[0] != "filename" || !access) {
      draft_.note(directive.line, directive.words, "the log goes to stderr, which is the journal");
    } else if (!draft_.set_access_file(directive.word(1))) {
      draft_.note(directive.line, directive.words, "there is one file for all listeners");
    }
  }
}

void SniproxyImport::take_listener(const Directive& listener) {
  Protocol protocol = Protocol::tls;
  for (const Directive& directive : listener.block) {
    const bool names_it = directive.words[0] == "protocol" || directive.words[0] == "proto";
    if (names_it && directive.word(1) == "http") protocol = Protocol::http;
  }
  const std::string& address = listener.word(1);
  if (address.starts_with("unix:")) {
    return draft_.note(listener.line, listener.words, "listeners are TCP only");
  }
  const auto place = draft_.add_listener(
      listener.line, {.name = {}, .address = sniproxy_listen(address), .protocol = protocol});
  if (!place) return;
  places_ = {*place};
  source_ = {};
  fallback_ = nullptr;
  table_.clear();
  v6only_ = false;
  for (const Directive& directive : listener.block) take_listener_key(directive);
  ListenerConfig& taken = draft_.listener(place->listener);
  taken.v6only = v6only_ && !taken.address.ip.is_v4();
  take_table(listener.line, table_);
  if (fallback_ != nullptr) take_fallback(*fallback_);
}

void SniproxyImport::take_listener_key(const Directive& directive) {
  const std::string& name = directive.words[0];
  const std::string& value = directive.word(1);
  if (name == "protocol" || name == "proto" || name == "reuseport" || name == "bad_requests") {
    return;  // Handled elsewhere, or always so here.
  }
  if (name == "table") {
    table_ = value;
  } else if (name == "fallback") {
    fallback_ = &directive;
  } else if (name == "source") {
    take_source(directive);
  } else if (name == "access_log") {
    take_log(directive, true);
  } else if (name == "ipv6_v6only") {
    v6only_ = value == "on" || value == "yes" || value == "true";
  } else {
    draft_.note(directive.line, directive.words, "unknown here");
  }
}

void SniproxyImport::take_source(const Directive& directive) {
  const std::string& value = directive.word(1);
  if (value == "client") {
    source_.transparent = true;
    return draft_.note(directive.line, directive.words,
                       "taken over as 'transparent', which needs routes on this host: "
                       "docs/source.md");
  }
  const auto address = forms::bind_address(value);
  if (!address) return draft_.note(directive.line, address.error().what);
  source_.addresses = {*address};
}

void SniproxyImport::take_table(std::uint32_t line, const std::string& name) {
  const auto table = tables_.find(name);
  if (table != tables_.end()) {
    for (const Directive& entry : table->second->block) take_entry(entry);
  } else if (fallback_ == nullptr) {
    draft_.note(line, "the listener has no table");
  }
}

void SniproxyImport::take_entry(const Directive& entry) {
  const std::vector<std::string> names = names_of_regex(entry.words[0]);
  if (names.empty()) {
    return draft_.note(entry.line, entry.words, "no names stand for this expression");
  }
  ImportPool pool;
  pool.source = source_;
  std::string address = entry.word(1);
  // "*" and "*:443": the requested name.
  if (address.starts_with('*')) {
    address.replace(0, 1, "{name}");
    draft_.note_once(entry.line,
                     "names that clients ask for do not lead to private addresses here; "
                     "'allow_private' in [[route]] lets them");
  }
  pool.servers.push_back({.address = address});
  for (std::size_t i = 2; i < entry.words.size(); ++i) {
    if (entry.words[i] == "proxy_protocol") {
      pool.send_proxy = ProxyVersion::v1;
    } else {
      draft_.note(entry.line, entry.words, in_quotes(entry.words[i]) + " is unknown here");
    }
  }
  draft_.add_route(entry.line, names, places_, pool);
}

void SniproxyImport::take_fallback(const Directive& fallback) {
  ImportPool pool;
  pool.source = source_;
  pool.servers.push_back({.address = fallback.word(1)});
  if (fallback.word(2) == "proxy_protocol") pool.send_proxy = ProxyVersion::v1;
  // "*" also takes clients without a name, unless the table has an entry "*".
  std::vector<std::string> names{"*"};
  const auto& routes = draft_.config().routes;
  const bool taken = std::ranges::any_of(routes, [this](const RouteConfig& route) {
    return std::ranges::find(route.names, "*") != route.names.end() &&
           std::ranges::find(route.listeners, places_[0].listener) != route.listeners.end();
  });
  if (taken) names = {"-"};
  draft_.add_route(fallback.line, names, places_, pool);
}

}  // namespace

Result<void> import_sniproxy(std::string_view text, ImportDraft& draft) {
  const auto document = parse_braces(text, BraceStyle::lines);
  if (!document) return std::unexpected(document.error());
  SniproxyImport(draft).run(*document);
  return {};
}

}  // namespace sni
