# Waits for a command of an earlier, interrupted run: pyinfra's end does not end what it started on a host.
if command -v flock >/dev/null 2>&1; then
  # Whoever can open a file can hold it: this one lies where only root can enter.
  (umask 077 && mkdir -p /run/etcd-steward.root)
  exec 9>/run/etcd-steward.root/running
  waited=0
  until flock -n 9; do
    if [ "$waited" -ge 120 ]; then
      echo "found a command of an earlier run still working, wanted none; next: wait for it, then run again" >&2
      exit 1
    fi
    sleep 0.5 2>/dev/null || sleep 1
    waited=$((waited + 1))
  done
fi
