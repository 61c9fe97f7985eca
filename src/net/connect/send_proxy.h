#pragma once

// Tells a backend of its client by the PROXY protocol: the header goes before the first flight, so
// that both leave in one send.

#include <cstdint>

#include "core/proxy_protocol/proxy_form.h"
#include "core/session/flow_record.h"
#include "net/connect/flight.h"

namespace sni {

struct ProxyContext {
  Endpoint destination;   // Where the client connected to.
  std::uint64_t run = 0;  // Of the process, for the unique id.
};

void put_proxy_header(Flight& flight, const ProxyForm& form, const FlowRecord& record,
                      const ProxyContext& context);

}  // namespace sni
