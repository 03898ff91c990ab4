# Writes one member's database anew; it serves nothing meanwhile, but listens. Needs ctl.sh.
# Set before: endpoint seconds
# shellcheck disable=SC2034 # become_ctl reads it
longest=$((seconds + 60))
# shellcheck disable=SC2329 # hear calls it
defragmented() {
  become_ctl "$endpoint" --command-timeout="${seconds}s" defrag &
  pid=$!
  # Where etcd ends meanwhile, etcdctl would go on trying until its time is over.
  {
    while listens "$endpoint"; do sleep 1 >/dev/null 2>&1; done
    say "nothing listens on $endpoint any more" >&2
    kill "$pid" 2>/dev/null
  } 9>&- &
  watcher=$!
  # The shell says "Terminated" itself.
  wait "$pid" 2>/dev/null
  outcome=$?
  kill "$watcher" 2>/dev/null
  return "$outcome"
}
if hear defragmented; then exit 0; fi
echo "found that etcd does not defragment ($(why)), wanted it done; next: look at its log, then run again" >&2
exit 1
