#include "net/server/reaper.h"

#include <doctest/doctest.h>

#include <chrono>
#include <future>
#include <thread>
#include <utility>

using namespace sni;

namespace {

// Records which thread has freed it.
struct Witness {
  explicit Witness(std::promise<std::thread::id>& freed) : freed_by(&freed) {}
  Witness(Witness&& other) noexcept : freed_by(std::exchange(other.freed_by, nullptr)) {}
  ~Witness() {
    if (freed_by != nullptr) freed_by->set_value(std::this_thread::get_id());
  }
  std::promise<std::thread::id>* freed_by;
};

}  // namespace

TEST_CASE("an object is freed on the reaper's thread, whoever was its last owner") {
  Reaper reaper;
  std::promise<std::thread::id> freed;
  auto by = freed.get_future();
  auto first = reaper.own(Witness(freed));
  std::thread last([second = first]() mutable { second.reset(); });
  last.join();
  const auto this_thread = std::this_thread::get_id();
  first.reset();
  CHECK(by.get() != this_thread);
}

TEST_CASE("it tells once that something was freed, and a trim frees nothing") {
  Reaper reaper;
  std::promise<std::thread::id> freed;
  auto by = freed.get_future();
  CHECK_FALSE(reaper.has_freed());
  reaper.own(Witness(freed)).reset();
  by.wait();
  const auto told = [&reaper] {
    for (int i = 0; i < 1000; ++i) {
      if (reaper.has_freed()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return false;
  };
  CHECK(told());
  reaper.trim();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  CHECK_FALSE(reaper.has_freed());
}

TEST_CASE("what is left at its end is freed then") {
  std::promise<std::thread::id> freed;
  auto by = freed.get_future();
  {
    Reaper reaper;
    reaper.own(Witness(freed)).reset();
  }
  CHECK(by.wait_for(std::chrono::seconds(0)) == std::future_status::ready);
}
