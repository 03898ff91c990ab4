# Asks some endpoints, side by side, whether they serve: a linearizable read, and not etcd's health check, which a raised
# alarm makes fail; tries for some seconds at most. Needs ctl.sh.
# Set before: endpoints seconds
uptime() { IFS=. read -r up _ </proc/uptime; }
uptime
until=$((up + seconds))
for endpoint in $endpoints; do
  { while :; do
      if ctl "$endpoint" get etcd-steward && ctl "$endpoint" endpoint status -w json; then
        say "status $endpoint $answer"
        break
      fi
      uptime
      if [ "$up" -ge "$until" ]; then
        say "down $endpoint $(why)"
        break
      fi
      sleep 0.2 2>/dev/null || sleep 1
    done; } &
done
wait
