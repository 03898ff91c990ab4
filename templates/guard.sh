# Waits for a command of an earlier, interrupted run: pyinfra's end does not end what it started on a host.
if command -v flock >/dev/null 2>&1; then
  exec 9>/run/etcd-steward.running
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
