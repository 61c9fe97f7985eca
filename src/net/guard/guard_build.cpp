#include "net/guard/guard_build.h"

#include <sys/eventfd.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <stop_token>
#include <utility>

#include "net/beside.h"
#include "net/give_way.h"

namespace sni {
namespace {

// Pause between the parts in which a retired generation is freed.
constexpr std::chrono::milliseconds drain_pause{20};

// Both still make progress if every CPU is busy.
constexpr int build_nice = 5;
constexpr int retire_nice = 10;

void make(GuardBuild& build, bool with_xdp) {
  std::vector<GuardEntry> entries = entries_of(build.input);
  read_configured(build.commanded, entries);
  for (const auto& [prefix, command] : build.commanded) {
    entries.push_back({.prefix = prefix, .term = {.block_until = command.until}});
  }
  build.list = std::make_unique<GuardList>(std::move(entries));
  if (!with_xdp) return;
  build.generation =
      XdpGeneration::create(settings_of(build.input), build.list->installed_addresses(),
                            build.list->installed_prefixes().entries());
}

}  // namespace

void read_configured(BlockCommands& commands, const std::vector<GuardEntry>& configuration) {
  for (auto& [prefix, command] : commands) command.configured = {};
  if (commands.empty()) return;
  for (const GuardEntry& entry : configuration) {
    const auto command = commands.find(entry.prefix);
    if (command == commands.end()) continue;
    command->second.configured = united(command->second.configured, entry.term);
  }
}

void GuardBuild::start(bool with_xdp, int built, std::jthread retiring) {
  thread = run_beside(
      "the lists of blocked sources",
      [this, with_xdp, built, retiring = std::move(retiring)](const std::stop_token& stop) mutable {
        if (!stop.stop_requested()) give_way(build_nice);
        join(retiring);
        make(*this, with_xdp);
        done = true;
        eventfd_write(built, 1);
      });
}

std::jthread retire(std::unique_ptr<GuardList> list, std::optional<XdpGeneration> generation) {
  return run_beside("freeing an old list",
                    [old_list = std::move(list),
                     old = std::move(generation)](const std::stop_token& stop) mutable {
                      if (!stop.stop_requested()) give_way(retire_nice);
                      std::mutex mutex;
                      std::condition_variable_any stopped;
                      std::unique_lock lock(mutex);
                      while (old && !stop.stop_requested() && old->drain_some()) {
                        stopped.wait_for(lock, stop, drain_pause, [] { return false; });
                      }
                    });
}

}  // namespace sni
