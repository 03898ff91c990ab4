# Tells which alarms are raised, and that etcd answered; asks again for some seconds at most. Needs ctl.sh.
# Set before: endpoint seconds
uptime() { IFS=. read -r up _ </proc/uptime; }
uptime
until=$((up + seconds))
while :; do
  if ctl "$endpoint" alarm list; then
    for word in $answer; do case $word in alarm:*) say "alarm ${word#alarm:}" ;; esac; done
    say listed
    break
  fi
  uptime
  if [ "$up" -ge "$until" ]; then
    say "refused $(why)"
    break
  fi
  sleep 0.2 2>/dev/null || sleep 1
done
