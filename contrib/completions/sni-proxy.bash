# bash completion of sni-proxy.
_sni_proxy() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}
  local commands="check config import probe bench status stats connections top kill reload drain backends reopen log-level block unblock blocklist"
  case $before in
    --config | --socket | --html | --proxy | sniproxy | haproxy | nginx)
      mapfile -t COMPREPLY < <(compgen -f -- "$word")
      return
      ;;
    log-level)
      mapfile -t COMPREPLY < <(compgen -W "debug info warning error --json --socket" -- "$word")
      return
      ;;
    --by)
      mapfile -t COMPREPLY < <(compgen -W "route backend name source listener plane" -- "$word")
      return
      ;;
    --top | --interval | --explain | --alpn | --listener | --rounds | --seconds | --only | --name | --source | --backend | --disable | --enable | --for) return ;;
  esac
  local options="--config --help --version $commands"
  case ${COMP_WORDS[1]} in
    check)
      options="--config --explain --alpn --listener --source --help"
      compopt -o default
      ;;
    config)
      options="--show --config --help"
      compopt -o default
      ;;
    import)
      options="sniproxy haproxy nginx --help"
      compopt -o default
      ;;
    probe) options="--help" ;;
    bench) options="--only --rounds --seconds --quick --proxy --loopback --json --html --print-configs --help" ;;
    connections) options="--follow --name --source --backend --json --socket --help" ;;
    top) options="--interval --socket --help" ;;
    kill) options="--name --source --backend --json --socket --help" ;;
    backends) options="--disable --enable --json --socket --help" ;;
    block) options="--for --json --socket --help" ;;
    blocklist) options="--hits --json --socket --help" ;;
    stats) options="--by --top --json --socket --help" ;;
    status | reload | drain | reopen | unblock | log-level) options="--json --socket --help" ;;
  esac
  mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
}
complete -F _sni_proxy sni-proxy
