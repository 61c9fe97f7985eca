#pragma once

// A tc program for tests that counts its packets and has one verdict for all of them, made from
// instructions so that a test needs no object file.

#include <bpf/bpf.h>
#include <doctest/doctest.h>
#include <linux/bpf.h>

#include <array>
#include <cstdint>

#include "core/unique_fd.h"

namespace sni::test {

inline constexpr int tc_act_unspec = -1;  // "Ask the next program."
inline constexpr int tc_act_ok = 0;       // Accepted, and no further program is asked.
inline constexpr int tc_act_shot = 2;     // Dropped.

class TcProgram {
 public:
  explicit TcProgram(int verdict, int map_fd = -1) {
    LIBBPF_OPTS(bpf_map_create_opts, options);
    count_ = UniqueFd::adopt(
        map_fd >= 0 ? dup(map_fd) : bpf_map_create(BPF_MAP_TYPE_ARRAY, "count", 4, 8, 1, &options));
    REQUIRE(count_);
    const std::array code = {
        // NOLINTNEXTLINE(misc-redundant-expression): two of them are 0.
        bpf_insn{.code = BPF_LD | BPF_DW | BPF_IMM,
                 .dst_reg = 1,
                 .src_reg = BPF_PSEUDO_MAP_VALUE,
                 .off = 0,
                 .imm = count_.get()},
        bpf_insn{},
        bpf_insn{
            .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 2, .src_reg = 0, .off = 0, .imm = 1},
        bpf_insn{.code = BPF_STX | BPF_DW | BPF_ATOMIC,
                 .dst_reg = 1,
                 .src_reg = 2,
                 .off = 0,
                 .imm = BPF_ADD},
        bpf_insn{.code = BPF_ALU64 | BPF_MOV | BPF_K,
                 .dst_reg = 0,
                 .src_reg = 0,
                 .off = 0,
                 .imm = verdict},
        bpf_insn{.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0},
    };
    program_ = UniqueFd::adopt(
        bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "counts", "GPL", code.data(), code.size(), nullptr));
    REQUIRE(program_);
  }

  int fd() const { return program_.get(); }
  int map_fd() const { return count_.get(); }
  std::uint32_t map_id() const {
    bpf_map_info info{};
    __u32 size = sizeof info;
    REQUIRE(bpf_obj_get_info_by_fd(count_.get(), &info, &size) == 0);
    return info.id;
  }
  std::uint32_t id() const {
    bpf_prog_info info{};
    __u32 size = sizeof info;
    REQUIRE(bpf_obj_get_info_by_fd(program_.get(), &info, &size) == 0);
    return info.id;
  }
  // Packets that it has seen.
  std::uint64_t count() const {
    const std::uint32_t key = 0;
    std::uint64_t value = 0;
    REQUIRE(bpf_map_lookup_elem(count_.get(), &key, &value) == 0);
    return value;
  }

 private:
  UniqueFd count_;
  UniqueFd program_;
};

}  // namespace sni::test
