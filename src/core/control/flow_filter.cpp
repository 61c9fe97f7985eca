#include "core/control/flow_filter.h"

#include <nlohmann/json.hpp>

#include "core/ascii.h"
#include "core/config/config_forms.h"
#include "core/session/flow_id.h"

namespace sni {

namespace {

using nlohmann::json;

// nullopt: it is absent.
Result<std::optional<std::string>> text_of(const json& request, const char* member) {
  const auto found = request.find(member);
  if (found == request.end()) return std::nullopt;
  if (!found->is_string()) return fail(std::string(member) + " is not a string");
  return found->get<std::string>();
}

bool is_named(std::string_view name, std::string_view wanted) {
  if (!wanted.starts_with("*.")) return name == wanted;
  const std::string_view suffix = wanted.substr(1);
  return name.size() > suffix.size() && name.ends_with(suffix);
}

}  // namespace

bool FlowFilter::matches(const FlowRecord& flow) const {
  if (serial && *serial != flow.serial) return false;
  if (source && !source->contains(flow.client.ip)) return false;
  if (name && !is_named(flow.server_name, *name)) return false;
  if (!backend) return true;
  return flow.backend != nullptr && (flow.backend->text == *backend ||
                                     (backend_address && flow.backend_address == *backend_address));
}

Result<FlowFilter> requested_flows(const json& request) {
  FlowFilter filter;
  const auto id = text_of(request, "id");
  const auto name = text_of(request, "name");
  const auto source = text_of(request, "source");
  const auto backend = text_of(request, "backend");
  for (const auto* each : {&id, &name, &source, &backend}) {
    if (!*each) return std::unexpected(each->error());
  }
  if (*id) {
    filter.serial = parse_flow_id(**id);
    if (!filter.serial) return fail("'" + **id + "' is not an id of a connection, as in 1-42");
  }
  if (*source) {
    const auto prefix = forms::prefix(**source);
    if (!prefix) return std::unexpected(prefix.error());
    filter.source = *prefix;
  }
  filter.name = *name;
  if (filter.name) {
    for (char& c : *filter.name) c = to_lower(c);
  }
  filter.backend = *backend;
  if (filter.backend) filter.backend_address = parse_endpoint(*filter.backend);
  return filter;
}

}  // namespace sni
