#include "core/import/nginx_upstream.h"

#include <algorithm>
#include <array>

#include "core/config/diagnostic.h"
#include "core/decimal.h"
#include "core/limits.h"

namespace sni {
namespace {

// Parameters of a server that say when it is out, which is automatic here.
constexpr std::array<std::string_view, 5> ignored_server_parameters{
    "max_fails", "fail_timeout", "resolve", "slow_start", "service"};

void take_server(const Directive& server, ImportPool& pool, ImportDraft& draft) {
  if (server.words.size() < 2) return;
  ImportServer taken{.address = server.words[1]};
  for (std::size_t i = 2; i < server.words.size(); ++i) {
    const std::string_view option = server.words[i];
    const std::string_view name = option.substr(0, option.find('='));
    const std::string_view value = option.substr(std::min(option.size(), name.size() + 1));
    if (option == "backup") {
      taken.backup = true;
    } else if (option == "down") {
      return draft.note(server.line, server.words, "a server that is down is left out");
    } else if (name == "weight") {
      taken.weight = static_cast<std::uint32_t>(parse_decimal(value, UINT32_MAX).value_or(1));
      if (taken.weight > limits::backend_weight_max) {
        draft.note(server.line, server.words, "weights go up to 256");
      }
    } else if (name == "max_conns") {
      taken.connections_max = parse_decimal(value, UINT32_MAX).value_or(0);
    } else if (std::ranges::find(ignored_server_parameters, name) ==
               ignored_server_parameters.end()) {
      draft.note(server.line, server.words, in_quotes(name) + " has no counterpart");
    }
  }
  pool.servers.push_back(std::move(taken));
}

}  // namespace

ImportPool nginx_upstream(const Directive& upstream, ImportDraft& draft) {
  ImportPool pool;
  for (const Directive& directive : upstream.block) {
    const std::string& name = directive.words[0];
    const bool by_source =
        directive.words.size() > 1 &&
        (directive.words[1] == "$remote_addr" || directive.words[1] == "$binary_remote_addr");
    if (name == "server") {
      take_server(directive, pool, draft);
    } else if (name == "least_conn") {
      pool.balance = Balance::least_connections;
    } else if (name == "random") {
      pool.balance = Balance::random_two;
    } else if (name == "hash" && by_source) {
      pool.balance = Balance::source_hash;
    } else if (name != "zone") {
      draft.note(directive.line, directive.words, "no counterpart");
    }
  }
  return pool;
}

}  // namespace sni
