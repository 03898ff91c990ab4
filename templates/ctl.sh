# Asks etcd with the host's own health-check pair.
# Set before: bin_dir ca cert key
ctl() { # endpoint command...
  at=$1
  shift
  ETCDCTL_API=3 "$bin_dir/etcdctl" --endpoints="$at" --cacert="$ca" --cert="$cert" --key="$key" --dial-timeout=2s \
    --command-timeout=4s "$@" 2>&1
}
# Picks what says why: the last connection error out of etcdctl's JSON warnings, else its last line but the summary.
why() {
  text=$(cat)
  reason=$(printf '%s\n' "$text" | sed -n 's/.*last connection error: *//p' | tail -n 1 | tr -d '"\\}')
  [ -n "$reason" ] || reason=$(printf '%s\n' "$text" | grep -v -e '^{' -e '^Error: unhealthy cluster' | tail -n 1)
  printf '%s\n' "$reason"
}
say() { printf '%s\n' "$*"; }
