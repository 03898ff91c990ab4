# Asks etcd with the host's own health-check pair.
# Set before: bin_dir ca cert key
# etcdctl refuses a flag whose variable is set.
unset ETCDCTL_ENDPOINTS ETCDCTL_CACERT ETCDCTL_CERT ETCDCTL_KEY
ctl() { (become_ctl "$@" 2>&1); } # endpoint command...
# Becomes etcdctl, so that who starts it in the background knows its process.
become_ctl() { # endpoint command...
  at=$1
  shift
  exec "$bin_dir/etcdctl" --endpoints="$at" --cacert="$ca" --cert="$cert" --key="$key" --dial-timeout=2s \
    --command-timeout=4s "$@"
}
# Tells whether a member reads linearizably, and sets answer. etcdctl's check fails under every alarm, once its read
# succeeded (3.5 and later): without space a member still serves, and can be given more; under any other it is not well.
healthy() { # endpoint
  answer=$(ctl "$1" endpoint health) && return 0
  case $answer in
    *"Active Alarm(s): "*CORRUPT* | *"Active Alarm(s): "*UNKNOWN*) return 1 ;;
    *"Active Alarm(s): NOSPACE"*) return 0 ;;
  esac
  return 1
}
# Tells whether anything listens on a port of this host: where nothing does, etcdctl would try for seconds.
listens() { # endpoint
  grep -qE ":$(printf '%04X' "${1##*:}") [0-9A-F]+:0000 0A" /proc/net/tcp /proc/net/tcp6 2>/dev/null
}
# Picks what says why: the last connection error out of etcdctl's JSON warnings, else its last line but the summary.
why() {
  text=$(cat)
  reason=$(printf '%s\n' "$text" | sed -n 's/.*last connection error: *//p' | tail -n 1 | tr -d '"\\}')
  [ -n "$reason" ] || reason=$(printf '%s\n' "$text" | grep -v -e '^{' -e '^Error: unhealthy cluster' | tail -n 1)
  printf '%s\n' "$reason"
}
say() { printf '%s\n' "$*"; }
