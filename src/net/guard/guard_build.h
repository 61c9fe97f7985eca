#pragma once

// What a reload does beside the workers: the new list and the new generation of kernel maps are
// made in one thread, and the old ones given up in another. Both give way to the workers.

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

// What the command `block` says about a prefix, beside what the configuration says.
struct BlockCommand {
  GuardTime until = 0;   // 0: no command holds.
  GuardTerm configured;  // Holds on when the command has ended.

  GuardTerm term() const { return united(configured, {.block_until = until}); }
};
using BlockCommands = std::map<IpPrefix, BlockCommand>;

// Reads again what the configuration says about the prefix of each command.
void read_configured(BlockCommands& commands, const std::vector<GuardEntry>& configuration);

struct GuardBuild {
  GuardInput input;
  BlockCommands commanded;  // As they were when it began; what is configured comes from `input`.
  std::unique_ptr<GuardList> list;
  std::optional<Result<XdpGeneration>> generation;  // nullopt: there is no XDP.
  std::atomic<bool> done{false};
  std::jthread thread;

  // Fills the list and the generation, then sets `done` and counts up the eventfd `built`. First it
  // waits until `retiring` has ended, so that at most two generations take memory.
  void start(bool with_xdp, int built, std::jthread retiring);
};

// Frees what a reload has replaced, slowly; asked to stop, at once.
std::jthread retire(std::unique_ptr<GuardList> list, std::optional<XdpGeneration> generation);

}  // namespace sni
