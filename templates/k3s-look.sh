# Tells what of k3s is on a host, as lines of `word rest`. Reads only, never fails; needs k3s-noted.sh, service.sh and
# neighbours.sh.
# Set before: prefix files lines link drop_ins units
say "look 1"
say "machine $(uname -m)"
say "init $init"
say "hostname $(uname -n)"
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
# What else its configuration comes from. A variable that a unit's drop-in or a file for its environment sets counts as a key.
case $init in
  openrc) variables='/etc/environment /etc/conf.d/k3s /etc/rancher/k3s/k3s.env' units= ;;
  *) variables="/etc/default/k3s /etc/sysconfig/k3s /etc/systemd/system/k3s.service.env
    $(for file in $units; do [ -f "$file" ] && sed -n 's/^[[:space:]]*EnvironmentFile[[:space:]]*=[[:space:]]*-\{0,1\}//p' "$file"; done)" ;;
esac
beside yaml $drop_ins
beside environment $variables
beside unit $units
{ for file in $variables $units; do
    [ -f "$file" ] && sed -n -e '/^[[:space:]]*[#;]/d' -e 's/.*K3S_NODE_NAME=["'\'']\{0,1\}\([A-Za-z0-9.-]\{1,\}\).*/\1/p' "$file"
  done
  for file in $drop_ins; do
    [ -f "$file" ] && sed -n 's/^["'\'']\{0,1\}node-name["'\'']\{0,1\} *: *["'\'']\{0,1\}\([A-Za-z0-9.-]\{1,\}\).*/\1/p' "$file"
  done
} | tail -n 1 | while read -r text; do say "node-name $text"; done
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
