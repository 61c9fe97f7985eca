#pragma once

// The reader behind read_config(), implemented in config_file.cpp and config_file_routes.cpp.

#include <chrono>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/config/config.h"
#include "core/config/config_check.h"
#include "core/config/config_choices.h"
#include "core/config/config_forms.h"
#include "core/config/toml_reader.h"

namespace sni {

inline constexpr std::chrono::seconds idle_min{1};
inline constexpr std::chrono::hours idle_max{168};

template <typename T>
std::vector<T> values_of(std::vector<Located<T>> list) {
  std::vector<T> values;
  values.reserve(list.size());
  for (Located<T>& item : list) values.push_back(std::move(item.value));
  return values;
}

template <typename T>
std::vector<Position> positions_of(const std::vector<Located<T>>& list) {
  std::vector<Position> positions;
  positions.reserve(list.size());
  for (const Located<T>& item : list) positions.push_back(item.position);
  return positions;
}

// What [access] and `access` of a route have in common.
template <typename Access>
void read_access_lists(TableReader& table, Access& access) {
  access.block = values_of(table.read_list<AccessEntry>("block", parse_access_entry));
  access.allow = values_of(table.read_list<AccessEntry>("allow", parse_access_entry));
  table.read("default", access.default_allow, forms::choice(choices::access));
}

class ConfigReader {
 public:
  explicit ConfigReader(const InterfaceLookup& interfaces) : interfaces_(interfaces) {}
  void read(TableReader& root);
  const ConfigPlaces& places() const { return places_; }
  Config take() { return std::move(config_); }

 private:
  void read_listener(TableReader& table);
  void read_route(TableReader& table);
  std::vector<Located<Backend>> read_backends(TableReader& route);
  void read_upstream(TableReader& table);
  void read_health(TableReader& table);
  void read_timeouts(TableReader& table);
  void read_limits(TableReader& table);
  void read_tcp(TableReader& table);
  void read_dns(TableReader& table);
  void read_fast_path(TableReader& table);
  void read_access(TableReader& table);
  void read_bans(TableReader& table);
  void use_default_listeners();

  // A form whose text may name a network interface.
  template <typename T>
  Form<T> with_interface(Result<T> (*form)(std::string_view, const InterfaceLookup&)) const {
    return [this, form](std::string_view text) { return form(text, interfaces_); };
  }

  const InterfaceLookup& interfaces_;
  Config config_;
  ConfigPlaces places_;
};

}  // namespace sni
