# Takes the manifest from kubelet and waits until it has stopped etcd; the manifest is kept. Needs pod-look.sh.
# Set before: manifest was data_dir seconds
set -e
if [ -e "$manifest" ]; then mv -f "$manifest" "$was"; fi
# Only kubelet ends a pod, and it may have been stopped.
if [ -n "$(pod_process)" ] && ! systemctl is-active --quiet kubelet.service; then systemctl start --no-block kubelet.service; fi
IFS=. read -r up _ </proc/uptime
until=$((up + seconds))
while pid=$(pod_process) && [ -n "$pid" ]; do
  IFS=. read -r up _ </proc/uptime
  if [ "$up" -ge "$until" ]; then
    echo "found etcd (process $pid) still running $seconds s after its manifest was taken away, wanted it stopped; next: look at \`journalctl -u kubelet\`, then run again" >&2
    exit 1
  fi
  sleep 0.2 2>/dev/null || sleep 1
done
