#pragma once

// The words for the values of keys that have a fixed set of them, shared by the reader and the
// writer of configurations.

#include <array>
#include <string_view>
#include <utility>

#include "core/config/config.h"

namespace sni {

template <typename E>
using Choice = std::pair<std::string_view, E>;

namespace choices {

inline constexpr std::array<Choice<Protocol>, 2> protocol{
    {{"tls", Protocol::tls}, {"http", Protocol::http}}};
inline constexpr std::array<Choice<FastPathMode>, 4> fast_path{
    {{"auto", FastPathMode::automatic},
     {"packet", FastPathMode::packet},
     {"sockhash", FastPathMode::sockhash},
     {"userspace", FastPathMode::userspace}}};
inline constexpr std::array<Choice<FarClients>, 3> far_clients{{{"auto", FarClients::automatic},
                                                                {"always", FarClients::always},
                                                                {"never", FarClients::never}}};
inline constexpr std::array<Choice<bool>, 2> access{{{"allow", true}, {"deny", false}}};
inline constexpr std::array<Choice<BlockScope>, 2> scope{
    {{"host", BlockScope::host}, {"listeners", BlockScope::listeners}}};
inline constexpr std::array<Choice<BlockFileErrors>, 2> block_file_errors{
    {{"strict", BlockFileErrors::strict}, {"skip", BlockFileErrors::skip}}};
inline constexpr std::array<Choice<Refuse>, 4> refuse{{{"no", Refuse::no},
                                                       {"alert", Refuse::alert},
                                                       {"close", Refuse::close},
                                                       {"drop", Refuse::drop}}};
inline constexpr std::array<Choice<Redirect>, 2> redirect{
    {{"no", Redirect::no}, {"https", Redirect::https}}};
inline constexpr std::array<Choice<Balance>, 5> balance{
    {{"first", Balance::first},
     {"round_robin", Balance::round_robin},
     {"least_connections", Balance::least_connections},
     {"random_two", Balance::random_two},
     {"source_hash", Balance::source_hash}}};
inline constexpr std::array<Choice<HealthCheck>, 2> health_check{
    {{"tcp", HealthCheck::tcp}, {"tls", HealthCheck::tls}}};
inline constexpr std::array<Choice<ProxyVersion>, 3> proxy_version{
    {{"no", ProxyVersion::none}, {"v1", ProxyVersion::v1}, {"v2", ProxyVersion::v2}}};
inline constexpr std::array<Choice<bool ProxyForm::*>, 4> proxy_field{
    {{"alpn", &ProxyForm::alpn},
     {"authority", &ProxyForm::authority},
     {"unique_id", &ProxyForm::unique_id},
     {"crc32c", &ProxyForm::crc32c}}};
inline constexpr std::array<Choice<XdpMode>, 3> xdp_mode{
    {{"auto", XdpMode::automatic}, {"native", XdpMode::native}, {"generic", XdpMode::generic}}};
inline constexpr std::array<Choice<AddressFamilies>, 4> families{
    {{"any", AddressFamilies::any},
     {"ipv4", AddressFamilies::ipv4},
     {"ipv6", AddressFamilies::ipv6},
     {"prefer_ipv4", AddressFamilies::prefer_ipv4}}};
inline constexpr std::array<Choice<LogFormat>, 2> log_format{
    {{"text", LogFormat::text}, {"json", LogFormat::json}}};

}  // namespace choices

// The word for a value; each value has one.
template <typename E, std::size_t N>
constexpr std::string_view word_for(const std::array<Choice<E>, N>& all, E value) {
  for (const auto& [word, each] : all) {
    if (each == value) return word;
  }
  return {};
}

}  // namespace sni
