# Tells what of k3s is on a host, as lines of `word rest`. Reads only, never fails; needs k3s-noted.sh and service.sh.
# Set before: prefix files lines link
say "look 1"
say "machine $(uname -m)"
say "init $init"
if grep -qw memory /sys/fs/cgroup/cgroup.controllers 2>/dev/null || awk '$1 == "memory" && $4 == 1 { found = 1 } END { exit !found }' /proc/cgroups 2>/dev/null; then
  say "memory yes"
fi
for line in $lines; do
  [ -f "$line" ] || continue
  say "line-file $line $(stat -c '%a %U:%G' "$line")"
  while IFS= read -r text || [ -n "$text" ]; do printf 'line %s\n' "$text"; done <"$line"
  break
done
for file in $files; do
  [ -f "$file" ] || continue
  sum=$(sha256sum <"$file") && say "file ${sum%% *} $(stat -c '%a %U:%G' "$file") $file"
  grep -q "ritten by etcd-steward" "$file" || say "strange $file"
done
grep -qs '^"*token"*:' /etc/rancher/k3s/config.yaml && say "token yes"
for mark in "$prefix"/*/.k3s-sha256; do [ -f "$mark" ] && say "release $(basename "${mark%/*}")"; done
[ -e "$program" ] && say "link $(readlink -f "$program")"
for data in /var/lib/rancher/k3s/server/db/state.db /var/lib/rancher/k3s/server/db/etcd/member; do
  [ -e "$data" ] && say "data $data"
done
case $init in
  systemd)
    systemctl is-active --quiet k3s.service && say "service active"
    systemctl is-enabled --quiet k3s.service 2>/dev/null && say "service enabled"
    [ "$(systemctl show k3s.service -p NeedDaemonReload 2>/dev/null)" = NeedDaemonReload=yes ] && say "service reload"
    ;;
  openrc)
    [ -e /etc/init.d/k3s ] && rc-service k3s status >/dev/null 2>&1 && say "service active"
    [ -e /etc/runlevels/default/k3s ] && say "service enabled"
    command -v logrotate >/dev/null 2>&1 && say "logrotate yes"
    ;;
esac
noted | while IFS= read -r text; do say "disk $text"; done
[ -f /run/k3s.started-with ] && while IFS= read -r text; do say "started $text"; done </run/k3s.started-with
[ -x "$program" ] && "$program" kubectl --request-timeout=5s get --raw /readyz >/dev/null 2>&1 </dev/null && say "ready yes"
say "end"
