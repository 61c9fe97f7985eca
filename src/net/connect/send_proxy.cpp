#include "net/connect/send_proxy.h"

#include <string>

#include "core/proxy_protocol/proxy_writer.h"
#include "core/session/flow_id.h"

namespace sni {

void put_proxy_header(Flight& flight, const ProxyForm& form, const FlowRecord& record,
                      const ProxyContext& context) {
  const std::string unique_id =
      form.unique_id ? unique_flow_id(context.run, record.serial) : std::string();
  ProxyHeaderSpace space;
  // An invalid name is only for our log.
  flight.put_header(write_proxy_header(
      form,
      {.source = record.client,
       .destination = context.destination,
       .alpn = record.alpn,
       .authority =
           record.hello_error.empty() ? std::string_view(record.server_name) : std::string_view(),
       .unique_id = unique_id},
      space));
}

}  // namespace sni
