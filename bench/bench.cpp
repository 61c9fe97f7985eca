#include "bench/bench.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <set>

#include "bench/clock.h"
#include "bench/html_page.h"
#include "bench/interrupt.h"
#include "bench/pin.h"
#include "bench/stage.h"
#include "bench/stats.h"

namespace sni::bench {
namespace {

constexpr int rounds_default = 12;  // Even: see proxy_cpu().
// The time that a run may take, with a margin below ten minutes and one minute.
constexpr double full_budget_s = 570;
constexpr double quick_budget_s = 45;
// Approximate overhead of a step besides its windows, and of starting and stopping a candidate.
constexpr double step_overhead_s = 0.03;
// The warm-up at least: by then a plane has taken the connections that it takes.
constexpr double settling_s = 0.5;
constexpr double quick_settling_s = 0.05;
constexpr double start_overhead_s = 0.3;

struct Step {
  const Entry* entry;
  const Column* column;
  int round;
};

bool measures(const Column& column, const Entry& entry, int round) {
  if (column.needs_proxy && !entry.proxy) return false;
  // A thread per connection is not suited to hold thousands.
  if (column.id == "idle-memory" && entry.row.group == "blocking/") return false;
  return !column.once || round == 1;
}

// Expected duration of a step.
double duration_s(const Column& column, const Timing& timing) {
  const double load = column.windows > 0 ? timing.warmup_s + column.windows * timing.window_s : 0;
  return load + column.extra_s + step_overhead_s;
}

// The words of --only that name rows and those that name columns. A group's prefix names its rows.
struct Selection {
  std::set<std::string> rows;
  std::set<std::string> columns;
  std::vector<std::string> unknown;
};

Selection select(const std::vector<std::string>& only, const std::vector<Entry>& entries) {
  Selection selection;
  for (const std::string& word : only) {
    bool known = false;
    for (const Entry& entry : entries) {
      if (entry.row.id != word && (entry.row.group.empty() || entry.row.group != word + "/")) {
        continue;
      }
      selection.rows.insert(entry.row.id);
      known = true;
    }
    for (const Column& column : columns()) {
      if (column.id != word) continue;
      selection.columns.insert(word);
      known = true;
    }
    if (!known) selection.unknown.push_back(word);
  }
  return selection;
}

class Run {
 public:
  Run(const BenchOptions& options, Stage& stage) : options_(options), stage_(stage) {}

  int run() {
    if (!plan()) return 1;
    describe();
    begin_ns_ = now_ns();
    for (int round = 1; round <= rounds_ && !interrupted(); ++round) run_round(round);
    if (interrupted()) {
      std::fprintf(stderr, "interrupted: taking everything down\n");
      return 130;
    }
    return publish();
  }

 private:
  bool plan() {
    const Selection selection = select(options_.only, stage_.entries());
    for (const std::string& word : selection.unknown) {
      std::fprintf(stderr, "--only: there is no row or column '%s'; there are\n", word.c_str());
      for (const Entry& entry : stage_.entries())
        std::fprintf(stderr, "  %s\n", entry.row.id.c_str());
      for (const Column& column : columns()) std::fprintf(stderr, "  %s\n", column.id.data());
      return false;
    }
    rounds_ = options_.rounds > 0 ? options_.rounds : options_.quick ? 1 : rounds_default;
    std::vector<const Entry*> entries;
    for (const Entry& entry : stage_.entries()) {
      if (!selection.rows.empty() && !selection.rows.contains(entry.row.id)) continue;
      entries.push_back(&entry);
      report_.rows.push_back(entry.row);
    }
    for (int round = 1; round <= rounds_; ++round) {
      // Every round begins with another row, so that no row always follows the same one.
      std::ranges::rotate(entries, entries.begin() + (round > 1 ? 1 : 0));
      for (const Entry* entry : entries) {
        for (const Column& column : columns()) {
          if (!selection.columns.empty() && !selection.columns.contains(std::string(column.id))) {
            continue;
          }
          if (measures(column, *entry, round)) steps_.push_back({entry, &column, round});
        }
      }
    }
    starts_ = entries.size() * static_cast<std::size_t>(rounds_);
    set_timing();
    return true;
  }

  // Makes windows as long as the time allows.
  void set_timing() {
    const double settling = options_.quick ? quick_settling_s : settling_s;
    const double budget = options_.quick ? quick_budget_s : full_budget_s;
    double fixed = static_cast<double>(starts_) * start_overhead_s;
    double windows = 0;
    for (const Step& step : steps_) {
      fixed += step.column->extra_s + step_overhead_s;
      if (step.column->windows == 0) continue;
      fixed += settling;
      windows += step.column->windows;
    }
    const double fitting = windows > 0 ? (budget - fixed) / windows : 1;
    conditions_.timing.window_s =
        options_.seconds > 0 ? options_.seconds : std::clamp(fitting, 0.05, 2.0);
    conditions_.timing.warmup_s = std::max(conditions_.timing.window_s * 0.2, settling);
    if (options_.quick) conditions_.idle_connections = 500;
    // A client's, a backend's and two of the proxy's for each; some to spare.
    const auto descriptors =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(descriptor_limit(), 1'000'000));
    conditions_.idle_connections = std::min(conditions_.idle_connections, (descriptors - 500) / 2);
  }

  void describe() {
    report_.mode = stage_.lab().isolated() ? "namespaces" : "loopback";
    const std::time_t now = std::time(nullptr);
    std::tm utc{};
    char text[32];
    std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", ::gmtime_r(&now, &utc));
    report_.started = text;
    const InNamespace inside(stage_.lab().netns(Role::proxy));
    report_.machine = describe_machine();
    for (const Site& site : stage_.sites()) report_.groups[site.prefix] = site.title;
    report_.settings = {{"rounds", rounds_},
                        {"window_s", conditions_.timing.window_s},
                        {"warmup_s", conditions_.timing.warmup_s},
                        {"cpus_can_be_kept_awake", Awake(true).held()},
                        {"idle_connections", conditions_.idle_connections}};
  }

  void run_round(int round) {
    measure_idle();
    const Entry* current = nullptr;
    Result<Candidate> candidate = fail("");
    const InNamespace inside(stage_.lab().netns(Role::client));
    for (std::size_t i = 0; i < steps_.size() && !interrupted(); ++i) {
      const Step& step = steps_[i];
      if (step.round != round) continue;
      if (step.entry != current) {
        candidate = fail("");  // Stops the previous one.
        candidate = stage_.start(*step.entry, proxy_cpu(round));
        current = step.entry;
      }
      progress(i);
      Outcome outcome = measure(candidate, *step.column);
      if (candidate && step.entry->proxy && !candidate->child.running()) {
        outcome.faults.emplace_back("the proxy died");
      } else if (candidate && step.entry->proxy && step.entry->proxy->observed &&
                 !candidate->observer.running()) {
        outcome.faults.emplace_back("its observer gave up");
      }
      if (interrupted()) return;
      report_.samples.push_back({.row = step.entry->row.id,
                                 .column = std::string(step.column->id),
                                 .round = round,
                                 .place = proxy_cpu(round),
                                 .outcome = std::move(outcome)});
    }
  }

  Outcome measure(const Result<Candidate>& candidate, const Column& column) {
    if (!candidate) return Outcome::failed(candidate.error().what);
    const Pinned pinned(client_cpu);
    const Awake awake(column.awake);
    return column.run(candidate->target, conditions_);
  }

  void measure_idle() {
    Meter meter(-1, -1);
    meter.start();
    ::usleep(static_cast<useconds_t>(std::min(conditions_.timing.window_s, 0.5) * 1e6));
    const Usage usage = meter.stop();
    report_.idle_busy.push_back(std::max(usage.busy_s / usage.elapsed_s, 0.0));
    conditions_.idle_busy = median(report_.idle_busy);
  }

  // A line per step with the time left: the estimate, corrected by its accuracy so far.
  void progress(std::size_t next) {
    double behind = 0;
    double ahead = 0;
    for (std::size_t i = 0; i < steps_.size(); ++i) {
      (i < next ? behind : ahead) += duration_s(*steps_[i].column, conditions_.timing);
    }
    const double spent = static_cast<double>(now_ns() - begin_ns_) / second_ns;
    const double pace = next >= 5 && behind > 0 ? spent / behind : 1;
    const int left = static_cast<int>(ahead * pace) + 1;
    const Step& step = steps_[next];
    std::fprintf(stderr, "[%zu/%zu] round %d/%d  %-22s %-16s %d:%02d left\n", next + 1,
                 steps_.size(), step.round, rounds_, step.entry->row.id.c_str(),
                 step.column->id.data(), left / 60, left % 60);
  }

  int publish() {
    std::fputs(text_report(report_).c_str(), stdout);
    bool written = true;
    const auto write = [&](const std::string& path, const std::string& text) {
      if (path.empty()) return;
      std::ofstream file(path);
      file << text;
      file.close();
      if (file.fail()) {
        std::fprintf(stderr, "cannot write %s\n", path.c_str());
        written = false;
      }
    };
    write(options_.json_file, json_report(report_));
    if (!options_.html_file.empty()) {
      const auto page =
          write_html_page(find_page_script(), json_report(report_), options_.html_file);
      if (!page) std::fprintf(stderr, "%s\n", page.error().what.c_str());
      written &= page.has_value();
    }
    return written && valid(report_) && !report_.samples.empty() ? 0 : 1;
  }

  const BenchOptions& options_;
  Stage& stage_;
  int rounds_ = 0;
  std::size_t starts_ = 0;
  std::vector<Step> steps_;
  Conditions conditions_;
  Report report_;
  std::uint64_t begin_ns_ = 0;
};

void print_configurations(const std::string& program) {
  Scene scene{.address = "198.18.0.1",
              .port = 443,
              .routes = {},
              .connections = 9'000,
              .directory = "/tmp/sni-bench"};
  scene.routes = {{.name = "s0.bench.example", .backend = "198.18.1.10:8000"},
                  {.name = "s1.bench.example", .backend = "198.18.1.10:8001"}};
  std::vector<Proxy> all = planes(program, true);
  for (Proxy& peer : installed_peers()) all.push_back(std::move(peer));
  for (const Proxy& proxy : all) {
    std::printf("# %s: %s\n%s\n", proxy.id.c_str(), proxy.title.c_str(),
                proxy.configuration(proxy, scene).c_str());
  }
}

}  // namespace

void add_bench_options(CLI::App& app, BenchOptions& options) {
  app.add_option("--only", options.only,
                 "Rows and columns to measure, by id, comma-separated (default: all)")
      ->delimiter(',');
  app.add_option("--rounds", options.rounds, "Rounds of all rows (default: 12; quick: 1)")
      ->check(CLI::Range(1, 1000));
  app.add_option("--seconds", options.seconds,
                 "Length of a step's window (default: what ten minutes allow)")
      ->check(CLI::Range(0.01, 600.0));
  app.add_flag("--quick", options.quick, "Under a minute, and accordingly rough");
  app.add_option("--json", options.json_file, "File for everything that was measured");
  app.add_option("--html", options.html_file,
                 "File for one page with plots (needs python3-matplotlib)");
  app.add_flag("--print-configs", options.print_configs,
               "Print the configuration of every proxy and exit");
  app.add_flag("--loopback", options.loopback,
               "Measure on loopback even where network namespaces could be made");
  app.add_option("--proxy", options.proxy,
                 "The sni-proxy to measure (default: the one beside this program)")
      ->check(CLI::ExistingFile);
}

int bench_main(const BenchOptions& options) {
  const std::string program = options.proxy.empty()
                                  ? beside("sni-proxy")
                                  : std::filesystem::absolute(options.proxy).string();
  if (options.print_configs) {
    print_configurations(program);
    return 0;
  }
  if (!options.html_file.empty()) {
    const auto can = check_page_script(find_page_script());
    if (!can) {
      std::fprintf(stderr, "%s\n", can.error().what.c_str());
      return 1;
    }
  }
  catch_interrupts();
  ::prctl(PR_SET_TIMERSLACK, 1);  // Nanosecond: the default 50 us would blur every schedule.
  const bool namespaces = !options.loopback && Lab::may_make_namespaces();
  if (!namespaces) {
    std::fprintf(stderr, "%s: measuring on loopback, and only what needs no privileges\n",
                 options.loopback ? "as asked" : "no privileges for network namespaces (not root)");
  }
  auto stage = Stage::create(namespaces, program);
  if (!stage) {
    std::fprintf(stderr, "%s\n", stage.error().what.c_str());
    return 1;
  }
  return Run(options, **stage).run();
}

}  // namespace sni::bench
