#include "core/route/attempt.h"

namespace sni {

const char* to_string(AttemptError error) {
  switch (error) {
    case AttemptError::none:
      return "";
    case AttemptError::name_unknown:
      return "name does not exist";
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
    case AttemptError::forbidden:
      return "address is not allowed";
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
    case AttemptError::other:
      break;
  }
  return "system error";
}

}  // namespace sni
