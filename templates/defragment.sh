# Writes one member's database anew; it serves nothing meanwhile, but listens. Needs ctl.sh.
# Set before: endpoint seconds
if answer=$(
  become_ctl "$endpoint" --command-timeout="${seconds}s" defrag 2>&1 &
  pid=$!
  # Where etcd ends meanwhile, etcdctl would go on trying until its time is over.
  {
    while listens "$endpoint"; do sleep 1 >/dev/null 2>&1; done
    say "nothing listens on $endpoint any more"
    kill "$pid"
  } 2>/dev/null 9>&- &
  watcher=$!
  wait "$pid"
  status=$?
  kill "$watcher" 2>/dev/null
  exit "$status"
); then exit 0; fi
echo "found that etcd does not defragment ($(say "$answer" | why)), wanted it done; next: look at its log, then run again" >&2
exit 1
