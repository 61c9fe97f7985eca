#include "bench/wire.h"

#include <sys/mman.h>

#include <cerrno>
#include <new>
#include <utility>

namespace sni::bench {

static_assert(std::atomic<std::uint64_t>::is_always_lock_free, "the ledger is shared by processes");

Result<Ledger> Ledger::create() {
  void* memory = ::mmap(nullptr, slots * sizeof(LedgerSlot), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return fail_sys("cannot map the ledger's shared memory", errno);
  return Ledger(new (memory) LedgerSlot[slots]());
}

Ledger::Ledger(Ledger&& other) noexcept
    : memory_(std::exchange(other.memory_, nullptr)), next_(other.next_) {}

Ledger::~Ledger() {
  if (memory_ != nullptr) ::munmap(memory_, slots * sizeof(LedgerSlot));
}

std::uint32_t Ledger::take() {
  const std::uint32_t index = next_++ % slots;
  LedgerSlot& slot = memory_[index];
  slot.sent = 0;
  slot.received = 0;
  slot.corrupt = 0;
  slot.stop = 0;
  slot.done = 0;
  return index;
}

}  // namespace sni::bench
