# Asks etcd with the host's own health-check pair.
# Set before: bin_dir ca cert key
ctl() { # endpoint command...
  at=$1
  shift
  ETCDCTL_API=3 "$bin_dir/etcdctl" --endpoints="$at" --cacert="$ca" --cert="$cert" --key="$key" --dial-timeout=2s \
    --command-timeout=4s "$@" 2>&1
}
# Picks the line that says why: etcdctl prints JSON warnings before it, and a summary after.
why() { grep -v -e '^{' -e '^Error: unhealthy cluster' | tail -n 1; }
say() { printf '%s\n' "$*"; }
