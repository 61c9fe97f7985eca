#include "core/route/attempt.h"

namespace sni {
namespace {

const char* upstream_error(AttemptError error) {
  switch (error) {
    case AttemptError::upstream_closed:
      return "upstream closed the connection";
    case AttemptError::upstream_protocol:
      return "upstream does not speak SOCKS5";
    case AttemptError::upstream_method:
      return "upstream wants another kind of login";
    case AttemptError::upstream_login:
      return "upstream refused the login";
    case AttemptError::upstream_failed:
      return "upstream says: general failure";
    case AttemptError::upstream_forbids:
      return "upstream says: not allowed";
    case AttemptError::upstream_refused:
      return "upstream says: connection refused";
    case AttemptError::upstream_host_unreachable:
      return "upstream says: host unreachable";
    case AttemptError::upstream_network_unreachable:
      return "upstream says: network unreachable";
    case AttemptError::upstream_unsupported:
      return "upstream does not support the request";
    default:
      return "";
  }
}

}  // namespace

const char* to_string(AttemptError error) {
  switch (error) {
    case AttemptError::none:
      return "";
    case AttemptError::name_unknown:
      return "name does not exist";
    case AttemptError::no_address:
      return "name has no address";
    case AttemptError::resolver_silent:
      return "resolver did not answer";
    case AttemptError::resolver_failed:
      return "resolver failed or refused";
    case AttemptError::resolver_overloaded:
      return "too many names are being resolved";
    case AttemptError::no_name:
      return "client sent no name";
    case AttemptError::disabled:
      return "disabled by command";
    case AttemptError::full:
      return "max_connections is reached and the queue is full";
    case AttemptError::queue_timeout:
      return "max_connections is reached and no place was left in time";
    case AttemptError::setup_timeout:
      return "timeouts.setup was over";
    case AttemptError::forbidden:
      return "address is not allowed";
    case AttemptError::no_interface:
      return "link-local address without an interface";
    case AttemptError::refused:
      return "connection refused";
    case AttemptError::no_answer:
      return "no answer in time";
    case AttemptError::host_unreachable:
      return "no route to host";
    case AttemptError::network_unreachable:
      return "network is unreachable";
    case AttemptError::reset:
      return "connection reset";
    case AttemptError::ended:
      return "closed without an answer";
    case AttemptError::no_file:
      return "no such file";
    case AttemptError::not_permitted:
      return "permission denied";
    case AttemptError::no_local_port:
      return "no local port is left";
    case AttemptError::no_descriptor:
      return "no file descriptor is left";
    case AttemptError::no_source:
      return "source address is not available";
    case AttemptError::upstream_closed:
    case AttemptError::upstream_protocol:
    case AttemptError::upstream_method:
    case AttemptError::upstream_login:
    case AttemptError::upstream_failed:
    case AttemptError::upstream_forbids:
    case AttemptError::upstream_refused:
    case AttemptError::upstream_host_unreachable:
    case AttemptError::upstream_network_unreachable:
    case AttemptError::upstream_unsupported:
      return upstream_error(error);
    case AttemptError::other:
      break;
  }
  return "system error";
}

}  // namespace sni
