# Waits until the own endpoint tells its status; a learner answers no linearizable read. Needs ctl.sh.
# Set before: endpoint seconds
uptime() { IFS=. read -r up _ </proc/uptime; }
uptime
until=$((up + seconds))
while :; do
  if answer=$(ctl "$endpoint" endpoint status -w json); then say "status $answer"; exit 0; fi
  uptime
  [ "$up" -lt "$until" ] || break
  sleep 0.2 2>/dev/null || sleep 1
done
say "waiting $(say "$answer" | why)"
