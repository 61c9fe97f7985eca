#pragma once

// The background work of a reload: one thread builds the new list and the new generation of kernel
// maps, and another frees the old ones. Both give way to the workers.

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "bpf/xdp/xdp_generation.h"
#include "core/guard/guard_list.h"
#include "net/guard/guard_input.h"

namespace sni {

// The term of a `block` command for a prefix, and that of the configuration.
struct BlockCommand {
  GuardTime until = 0;   // 0: no command holds.
  GuardTerm configured;  // Still applies when the command has ended.

  GuardTerm term() const { return united(configured, {.block_until = until}); }
};
using BlockCommands = std::map<IpPrefix, BlockCommand>;

// Updates `configured` of each command from the configuration.
void read_configured(BlockCommands& commands, const std::vector<GuardEntry>& configuration);

struct GuardBuild {
  GuardInput input;
  BlockCommands commanded;  // As of the beginning; `configured` comes from `input`.
  std::unique_ptr<GuardList> list;
  std::optional<Result<XdpGeneration>> generation;  // nullopt: there is no XDP.
  std::atomic<bool> done{false};
  std::jthread thread;

  // Fills the list and the generation, then sets `done` and signals the eventfd `built`. First it
  // waits for the end of `retiring`, so that at most two generations take memory.
  void start(bool with_xdp, int built, std::jthread retiring);
};

// Frees what a reload has replaced: slowly, or at once when asked to stop.
std::jthread retire(std::unique_ptr<GuardList> list, std::optional<XdpGeneration> generation);

}  // namespace sni
