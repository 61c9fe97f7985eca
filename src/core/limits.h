#pragma once

// Every bound of the program as a named constant, with its unit and reason, and the relations that
// must hold between bounds.

#include <cstddef>
#include <cstdint>

namespace sni::limits {

// Threads that serve.
inline constexpr std::uint32_t workers_max = 1024;

// RFC 1035: a name has at most 253 characters in its printed form.
inline constexpr std::size_t server_name_max = 253;

// The range of limits.hello_bytes: bytes of a ClientHello handshake message without its 4-byte
// header. Real ones have 0.2 to 2 KiB (ML-KEM key shares included). nginx, Envoy and HAProxy cap at
// 16 KiB; OpenSSL and BoringSSL accept more.
inline constexpr std::size_t hello_bytes_min = 1024;
inline constexpr std::size_t hello_bytes_default = 16 * 1024;
inline constexpr std::size_t hello_bytes_max = 64 * 1024;
inline constexpr std::size_t handshake_header = 4;
inline constexpr std::size_t record_header = 5;
// TLS records of one hello. A record may hold a single byte, and a hello of usual size may arrive
// like that. With more records a client could make us buffer six bytes per byte of a hello.
inline constexpr std::uint32_t hello_records_max = 2048;
// Wire bytes of a first flight.
inline constexpr std::size_t hello_wire_max =
    hello_bytes_max + handshake_header + hello_records_max * record_header;
// A hello with an ML-KEM key share takes 1.8 KiB. Larger flights together may use half of
// limits.hello_memory.
inline constexpr std::size_t small_flight_bytes = 3 * 1024;
// Bytes of an HTTP/1.x request head.
inline constexpr std::size_t http_head_max = 16 * 1024;
// Bytes of a received PROXY header. Addresses and a few fields fit into 536; a certificate in a
// field of version 2 takes some KiB.
inline constexpr std::size_t proxy_header_bytes = 16 * 1024;
// Prefixes in one listener's accept_proxy_from, which each accept searches linearly.
inline constexpr std::size_t accept_proxy_max = 64;

// Bytes of the configuration. 64 MiB hold 100,000 routes several times over; the parser's tree
// takes about ten times the text.
inline constexpr std::size_t config_bytes_max = 64 * 1024 * 1024;
// Dots on one line outside strings: each may nest a table one level deeper. No key of ours has more
// than one.
inline constexpr std::size_t config_key_depth_max = 16;
// Mistakes listed for one configuration; further ones are only counted.
inline constexpr std::size_t diagnostics_max = 1000;
// Each worker has a socket of its own per listener.
inline constexpr std::size_t listeners_max = 64;
// Backends of one route (the set left to try has a bit for each), their greatest weight, and
// protocols in one route's alpn.
inline constexpr std::size_t route_backends_max = 64;
inline constexpr std::uint32_t backend_weight_max = 256;
inline constexpr std::uint32_t route_retries_max = 10;
// The highest max_connections of a backend, and the number of connections that may wait for a place
// there. The default is what a backend of usual size serves within timeouts.queue.
inline constexpr std::uint32_t backend_connections_max = 10'000'000;
inline constexpr std::uint32_t queue_default = 1'000;
inline constexpr std::uint32_t queue_max = 1'000'000;
inline constexpr std::size_t route_alpn_max = 16;
// Entries in one route's `access`, about 50 bytes each.
inline constexpr std::size_t route_access_max = 10'000;
// Regular expressions as names of routes: bytes of one, memory that RE2 may use for one program and
// its automata, and expressions of one listener. A name that no other route has is matched against
// all of them.
inline constexpr std::size_t route_regex_bytes = 1024;
inline constexpr std::size_t route_regex_memory = 128 * 1024;
inline constexpr std::size_t route_regexes_max = 1000;
// Groups of an expression that a backend can refer to: "\\1" to "\\9".
inline constexpr int route_regex_groups = 9;

// Addresses that a name may have; more than fit into an answer of 4 KiB. timeouts.setup bounds how
// many of them one connection tries.
inline constexpr std::size_t backend_addresses_max = 256;

// Targets of a service (SRV); beyond these the least preferred are left out.
inline constexpr std::size_t service_targets_max = 64;

// Endpoints that are out, shared by all workers (512 KiB), and the first and the longest time for
// which others are tried before them. A full set of eight takes no more; with 20,000 endpoints
// that is one set in a thousand. The time doubles with each failed try: a host that is back is
// soon used again, and one that stays away costs one connection a minute.
inline constexpr std::size_t board_endpoints = 65'536;
inline constexpr std::uint64_t out_ms = 2'000;
inline constexpr std::uint64_t out_ms_max = 60'000;
// Concurrent connects of one connection (RFC 8305 section 5): as many as large services have
// addresses. More would only add load to a network that is slow as a whole.
inline constexpr std::size_t attempts_max = 8;
// Addresses of one name whose connections are counted. A name with more has its connections spread
// without counts.
inline constexpr std::size_t counted_addresses = 64;
// How often the log reports that another backend stands in, or that all are out.
inline constexpr std::uint64_t failover_told_ms = 10'000;

// Health checks: addresses of one name that are checked, concurrent checks, and bytes of an answer
// that are read.
inline constexpr std::size_t health_addresses = 64;
inline constexpr std::size_t health_checks_max = 256;
inline constexpr std::size_t health_answer_bytes = 1024;

// Answers to clients without a backend: unread input that is discarded before the close. Otherwise
// the close would send an RST, which can destroy the answer.
inline constexpr std::size_t linger_bytes_max = 64 * 1024;
inline constexpr std::uint64_t linger_ms_max = 1000;

// Relay buffers, per worker. 256 KiB moved twice the bytes of 64 KiB in bulk trials. The kernel
// holds 64 of them at a time, one for each receive that may complete in one turn.
inline constexpr std::uint32_t buffer_bytes = 256 * 1024;
inline constexpr std::uint32_t buffer_count = 256;
inline constexpr std::uint32_t buffers_published = 64;
// Hellos are short; bytes after them can wait for the relay.
inline constexpr std::uint32_t flight_receive_bytes = 16 * 1024;
// What a pipe receives at a time after its reader has stalled, so that the next stall holds little,
// and how many sends in a row must complete at once before it receives whole buffers again.
inline constexpr std::uint32_t stalled_receive_bytes = 16 * 1024;
inline constexpr std::uint32_t stall_forgotten_sends = 16;
// The least that is received for a reader without room while the pool is scarce.
inline constexpr std::uint32_t scarce_receive_bytes = 4 * 1024;
static_assert((buffers_published & (buffers_published - 1)) == 0, "the kernel takes powers of two");
static_assert(buffers_published < buffer_count / 2);

// Bulk transfer by splice(2), per worker: kernel pipes, each with two descriptors and up to
// splice_bytes in pages that the sender's TCP has filled. A direction becomes bulk after
// bulk_begins receives in a row of bulk_bytes or more, and stops being bulk when bulk_forgotten
// more small ones than large ones have come.
inline constexpr std::uint32_t splice_bytes = 1024 * 1024;
inline constexpr std::uint32_t splices_max = 64;
inline constexpr std::uint32_t bulk_bytes = 64 * 1024;
inline constexpr std::uint32_t bulk_small_bytes = 16 * 1024;
inline constexpr std::uint8_t bulk_begins = 8;
inline constexpr std::uint8_t bulk_forgotten = 32;
static_assert(bulk_begins < bulk_forgotten);
// The low-water mark of a bulk direction is raised to low_water_bytes (0.8 ms at 5 Gbit/s) after
// low_water_begins large receives in a row. Each receive that waits in vain doubles that number, up
// to low_water_begins_max; low_water_repaid successful ones in a row halve it. The mark stays low
// where more than low_water_rate_max arrives in a millisecond (12 Gbit/s): no receive sleeps then,
// and larger pieces cost overlap.
inline constexpr std::uint32_t low_water_bytes = 512 * 1024;
inline constexpr std::uint16_t low_water_begins = 8;
inline constexpr std::uint16_t low_water_begins_max = 8192;
inline constexpr std::uint8_t low_water_repaid = 64;
inline constexpr std::uint32_t low_water_rate_max = 1'500'000;
static_assert(bulk_bytes <= low_water_bytes && low_water_bytes <= splice_bytes);

// With fewer open files "auto" does without the kernel's planes, whose maps and programs take some thirty
// and whose self-tests take more for a moment.
inline constexpr std::uint64_t plane_files_min = 256;

// Requests that one turn can submit; more are submitted in parts.
inline constexpr unsigned ring_entries = 4096;

// Addresses and prefixes added by commands at run time, and sources that the proxy watches or has
// banned. About 64 bytes each; beyond the bound new ones are refused and counted.
inline constexpr std::size_t guard_commands_max = 65'536;
inline constexpr std::size_t watched_sources_max = 65'536;
inline constexpr std::size_t bans_max = 65'536;

// Entries of a block file: twice the million addresses it is designed for. An entry with its expiry
// takes 70 bytes, and lists often carry a comment per line.
inline constexpr std::size_t block_file_entries_max = 2'000'000;
inline constexpr std::size_t block_file_bytes_max = 256u << 20;

// A file with a password and any notes below it.
inline constexpr std::size_t password_file_bytes = 64 * 1024;

// Reports of workers about sources that may wait for the main thread, which reads them ten times a
// second. Further reports are dropped and counted.
inline constexpr std::size_t guard_reports_max = 65'536;

// The control socket: concurrent clients, bytes of a request and of an answer, and how long a
// client waits for an answer. A list of a million entries takes a few seconds to rebuild on a busy
// machine.
inline constexpr std::size_t control_clients_max = 16;
inline constexpr std::size_t control_request_max = 64 * 1024;
inline constexpr std::size_t control_answer_max = 16 * 1024 * 1024;
inline constexpr int control_answer_s = 30;
// How long a client may read nothing of a waiting answer.
inline constexpr std::uint64_t control_timeout_ms = 10'000;
// Concurrent scrapers and health checks, and how long one may neither send nor read.
inline constexpr std::size_t scrape_clients_max = 32;
inline constexpr std::uint64_t scrape_timeout_ms = 10'000;
inline constexpr std::size_t control_page_entries = 1000;
inline constexpr std::size_t control_hits_max = 10'000;  // The entries with the most hits.
inline constexpr std::uint32_t block_for_max_s = 10u * 365 * 86'400;

// Names. Questions and waiters are counted per worker, and separately for names from clients and
// from the configuration, so that clients cannot use up what configured routes need.
inline constexpr std::size_t dns_questions_max = 1024;
inline constexpr std::size_t dns_waiters_max = 64 * 1024;
inline constexpr std::size_t dns_servers_max = 8;
inline constexpr std::size_t dns_search_max = 16;  // glibc before 2.26 took 6.
// How long the family that was answered first waits for the other one (RFC 8305 section 3).
inline constexpr std::uint64_t resolution_delay_ms = 50;
// How long a client waits for a fresh answer when a stale one is available. RFC 8767 section 5 has
// 1.8 s for resolvers; we are a client of one and have a connection to make.
inline constexpr std::uint64_t stale_wait_ms = 500;
// Channels of c-ares, per worker, each with a UDP port of its own while it is in use, and the
// number of questions after which a channel needs a new port: a forger has to guess the port and
// the id of one question (RFC 5452).
inline constexpr std::size_t dns_channels_max = 16;
inline constexpr std::uint32_t dns_channel_questions = 64;
// Names in the map DNS_CACHE: dns.cache_entries within these bounds. The kernel allocates about 650
// bytes for each at creation, and its LRU moves entries by the hundred.
inline constexpr std::uint32_t dns_map_names_min = 1024;
inline constexpr std::uint32_t dns_map_names_max = 64 * 1024;
// Addresses that fit into one of its records. Each worker resolves a name with more by itself.
inline constexpr std::size_t dns_record_addresses_max = 16;
// Bytes of /etc/hosts and resolv.conf. Hosts files that block advertisers have several megabytes.
inline constexpr std::size_t system_file_max = 16 << 20;

static_assert(dns_record_addresses_max <= backend_addresses_max);
static_assert(resolution_delay_ms < stale_wait_ms);
static_assert(dns_questions_max <= dns_waiters_max);
static_assert(http_head_max <= hello_wire_max);

}  // namespace sni::limits
