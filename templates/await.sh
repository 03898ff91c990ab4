# Waits until the own endpoint is healthy, for some seconds at most; needs ctl.sh.
# Set before: endpoint seconds
uptime() { IFS=. read -r up _ </proc/uptime; }
uptime
until=$((up + seconds))
answer="connection refused: nothing listens on $endpoint"
while :; do
  if listens "$endpoint" && answer=$(ctl "$endpoint" endpoint health) && status=$(ctl "$endpoint" endpoint status -w json); then
    say "status $status"
    exit 0
  fi
  uptime
  [ "$up" -lt "$until" ] || break
  sleep 0.2 2>/dev/null || sleep 1
done
say "waiting $(say "$answer" | why)"
