#pragma once

// The lab with its running backends, and the rows that can be measured in it. Each candidate is
// started for its turn and stopped after it, so that only one runs at a time.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bench/backend.h"
#include "bench/lab.h"
#include "bench/load.h"
#include "bench/process.h"
#include "bench/proxies.h"
#include "bench/report.h"
#include "core/error.h"

namespace sni::bench {

// A place for backends.
struct Site {
  std::string prefix;  // Of its rows' ids: "", "bridge/", "local/", "blocking/".
  std::string title;
  Role role = Role::backend;
  BackendStyle style = BackendStyle::event;
  in_addr direct{};  // As reached by clients without a proxy.
  in_addr behind{};  // As reached by the proxy.
  std::uint16_t first_port = 0;
  Child backend;
};

struct Entry {
  Row row;
  std::size_t site = 0;
  std::optional<Proxy> proxy;  // None: the direct row.
};

// A candidate that is ready to be measured.
struct Candidate {
  Child child;
  Child observer;  // If it is observed.
  Target target;
};

class Stage {
 public:
  // `program`: the sni-proxy under test.
  static Result<std::unique_ptr<Stage>> create(bool namespaces, const std::string& program);
  // For create(), which fills it.
  Stage(Lab lab, Ledger ledger) : lab_(std::move(lab)), ledger_(std::move(ledger)) {}
  ~Stage();
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;

  const Lab& lab() const { return lab_; }
  const std::vector<Site>& sites() const { return sites_; }
  const std::vector<Entry>& entries() const { return entries_; }
  // `cpu`: where the proxy is kept, as in bench/pin.h; empty: left free.
  Result<Candidate> start(const Entry& entry, std::optional<int> cpu);

 private:
  Result<void> start_backends();
  void list_entries(const std::string& program);
  Scene scene(const Site& site) const;
  Result<void> wait_ready(Candidate& candidate, const std::string& log);

  Lab lab_;
  Ledger ledger_;
  std::string directory_;
  std::uint16_t proxy_port_ = 443;
  std::vector<Site> sites_;
  std::vector<Entry> entries_;
};

}  // namespace sni::bench
