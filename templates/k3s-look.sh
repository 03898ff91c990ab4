# Tells what of k3s is on a host, as lines of `word rest`. Reads only, never fails; needs k3s-noted.sh and service.sh.
# Set before: prefix files lines link
echo "look 1"
echo "machine $(uname -m)"
echo "init $init"
if grep -qw memory /sys/fs/cgroup/cgroup.controllers 2>/dev/null || awk '$1 == "memory" && $4 == 1 { found = 1 } END { exit !found }' /proc/cgroups 2>/dev/null; then
  echo "memory yes"
fi
for line in $lines; do
  [ -f "$line" ] || continue
  echo "line-file $line $(stat -c '%a %U:%G' "$line")"
  while IFS= read -r text || [ -n "$text" ]; do printf 'line %s\n' "$text"; done <"$line"
  break
done
for file in $files; do
  [ -f "$file" ] || continue
  sum=$(sha256sum <"$file") && echo "file ${sum%% *} $(stat -c '%a %U:%G' "$file") $file"
  grep -q "ritten by etcd-steward" "$file" || echo "strange $file"
done
grep -qs '^"*token"*:' /etc/rancher/k3s/config.yaml && echo "token yes"
for mark in "$prefix"/*/.k3s-sha256; do [ -f "$mark" ] && echo "release $(basename "${mark%/*}")"; done
[ -e "$program" ] && echo "link $(readlink -f "$program")"
for data in /var/lib/rancher/k3s/server/db/state.db /var/lib/rancher/k3s/server/db/etcd/member; do
  [ -e "$data" ] && echo "data $data"
done
case $init in
  systemd)
    systemctl is-active --quiet k3s.service && echo "service active"
    systemctl is-enabled --quiet k3s.service 2>/dev/null && echo "service enabled"
    [ "$(systemctl show k3s.service -p NeedDaemonReload 2>/dev/null)" = NeedDaemonReload=yes ] && echo "service reload"
    ;;
  openrc)
    [ -e /etc/init.d/k3s ] && rc-service k3s status >/dev/null 2>&1 && echo "service active"
    [ -e /etc/runlevels/default/k3s ] && echo "service enabled"
    command -v logrotate >/dev/null 2>&1 && echo "logrotate yes"
    ;;
esac
noted | while IFS= read -r text; do echo "disk $text"; done
[ -f /run/k3s.started-with ] && while IFS= read -r text; do echo "started $text"; done </run/k3s.started-with
[ -x "$program" ] && "$program" kubectl --request-timeout=5s get --raw /readyz >/dev/null 2>&1 </dev/null && echo "ready yes"
echo "end"
