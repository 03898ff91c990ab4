# Waits until the own endpoint is healthy, for some seconds at most; needs ctl.sh.
# A learner answers no linearizable read, which health is; its status is enough.
# Set before: endpoint seconds learner
uptime() { IFS=. read -r up _ </proc/uptime; }
uptime
until=$((up + seconds))
# shellcheck disable=SC2034 # why reads it
said="connection refused: nothing listens on $endpoint" answer=''
while :; do
  if listens "$endpoint" && { [ -n "$learner" ] || healthy "$endpoint"; } &&
    ctl "$endpoint" endpoint status -w json; then
    say "status $answer"
    exit 0
  fi
  uptime
  [ "$up" -lt "$until" ] || break
  sleep 0.2 2>/dev/null || sleep 1
done
say "waiting $(why)"
