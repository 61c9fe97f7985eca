namespace sni {}
