# Waits some seconds for the API server of this host; then tells the last error in k3s' log.
# Set before: program seconds
uptime() { IFS=. read -r up _ </proc/uptime; }
uptime
until=$((up + seconds))
while :; do
  if said=$("$program" kubectl --request-timeout=5s get --raw /readyz 2>&1 >/dev/null </dev/null); then
    echo "ready"
    exit 0
  fi
  uptime
  [ "$up" -lt "$until" ] || break
  sleep 0.5 2>/dev/null || sleep 1
done
if [ -f /var/log/k3s.log ]; then log="tail -n 50 /var/log/k3s.log"; else log="journalctl -u k3s -n 50 -o cat"; fi
why=$($log 2>/dev/null | grep -E 'level=(error|fatal)|^[EF][0-9]{4} ' | tail -n 1)
echo "waiting ${why:-$(printf '%s\n' "$said" | tail -n 1)}"
