# Tells everything that a decision needs about one host, as lines of `word rest`. Reads only, never fails.
# Needs ctl.sh, machine.sh, across.sh, newest.sh, processes.sh, service.sh, storage.sh, addresses.sh, certificates.sh and groups.sh.
# Set before: user group prefix config manifest pod unsettled modules sysctls container_runtime files certificates service data_dir wal_dir folders record names endpoint ports marker lock running
# A command of a run that was killed may still be at work here: what it leaves counts, not what it has done so far.
if [ -f "$running" ] && command -v flock >/dev/null 2>&1; then
  waited=0
  until (flock -n 9) 9<"$running" || [ "$waited" -ge 10 ]; do
    sleep 1
    waited=$((waited + 1))
  done
fi
say "probe 1"
say "now $(date +%s)"
say "uid $(id -u)"
say "machine $(uname -m)"
say "hostname $(cat /proc/sys/kernel/hostname)"
tell_machine
[ -f "$lock" ] && say "lock $(head -n 1 "$lock" 2>/dev/null)"
# Where nobody can look for processes there may be any.
readlink "/proc/$$/exe" >/dev/null 2>&1 || say "blind processes"
say "init $init"
grep -E '^(ID|ID_LIKE|VERSION_ID|PRETTY_NAME)=' /etc/os-release 2>/dev/null | while IFS= read -r line; do say "os $line"; done
if id "$user" >/dev/null 2>&1; then say "account $(id -u "$user") $(id -g "$user")"; fi
group_of "$group" | while IFS=: read -r _ _ gid _; do say "group $gid"; done
for folder in "$prefix"/*/; do
  [ -x "${folder}etcd" ] && [ -f "${folder}.archive-sha256" ] && say "release $(basename "$folder") $(cat "${folder}.archive-sha256")"
done
for tool in etcd etcdctl etcdutl; do [ -e "$bin_dir/$tool" ] && say "link $tool $(readlink -f "$bin_dir/$tool")"; done
for file in $files; do
  if [ -f "$file" ]; then
    sum=$(sha256sum <"$file") && say "file ${sum%% *} $(stat -c '%a %U:%G' "$file") $file"
    grep -q "$marker" "$file" 2>/dev/null || say "unmarked $file"
  elif [ -e "$file" ]; then say "file other 0 - $file"; fi
done
for file in $certificates; do certificates_in "$file" "pem $file"; done
[ -f "$config" ] && { sum=$(sed -E "/$unsettled/d" "$config" | sha256sum); say "settled ${sum%% *}"
  grep -qE '^( *- --)?initial-cluster-state(: |=)existing' "$config" && say "formed"
  sed -n "s/^initial-cluster: *//p; s/^ *- *['\"]\{0,1\}--initial-cluster=//p" "$config" | while IFS= read -r line; do say "listed $line"; done; }
[ -z "$pod" ] && [ -f /run/etcd-steward/started-with ] && while IFS= read -r line; do say "started $line"; done </run/etcd-steward/started-with
[ -f "$record" ] && say "record $(cat "$record")"
if [ -n "$pod" ]; then
  look_at_node
  look_at_pod "$manifest" "$config" "$unsettled"
else
  tell_service "$service"
fi
for unit in /etc/systemd/system/etcd.service /usr/lib/systemd/system/etcd.service /lib/systemd/system/etcd.service /etc/init.d/etcd "$manifest"; do
  [ -f "$unit" ] && ! grep -q "$marker" "$unit" && say "foreign-unit $unit"
done
etcds | while read -r pid at file; do
  say "process $pid $at $file"
  case $file in --config-file=/*) file=${file#*=}; [ -f "$file" ] && head -n 1 "$file" | grep -q "$marker" && say "ours $pid" ;; esac
done
for word in $folders; do storage "${word%%=*}" "${word#*=}"; done
say "free $(df -Pk "$(nearest "$data_dir")" | awk 'NR == 2 { print $4 " " $6 }')"
[ -d "$data_dir" ] && say "data folder $(stat -c '%a %U:%G' "$data_dir")"
[ -e "$data_dir/member" ] && say "data member"
[ -e "$data_dir/member/snap/db" ] && say "data db $(stat -c %s "$data_dir/member/snap/db")"
wal=${wal_dir:-$data_dir/member}/wal
[ -n "$wal_dir" ] && [ -d "$wal_dir" ] && say "data wal-folder $(stat -c '%a %U:%G' "$wal_dir")"
# What cannot be looked into is not empty: a broken disk, or a link to one that is not mounted.
for place in "$data_dir" "$data_dir/member" "$data_dir/member/snap" "${wal_dir:-$data_dir}" "$wal"; do
  if [ -e "$place" ]; then ls "$place" >/dev/null 2>&1 || say "data unreadable $place"
  else hear env LC_ALL=C ls -d "$place"; case $said in *"o such file"*) ;; *) say "data unreadable $place" ;; esac; fi
done
newest=
for file in "$wal"/*.wal; do [ -f "$file" ] && newest=$file; done
[ -n "$newest" ] && say "data wal $(head -c 512 "$newest" | od -An -v -tx1 | tr -d ' \n')"
if [ -z "$newest" ]; then
  for port in $ports; do
    grep -qiE ":$port [0-9A-F]+:0000 0A" /proc/net/tcp /proc/net/tcp6 2>/dev/null && say "listening $port"
  done
fi
# What a name means is asked as etcd asks: with the host's own files, and for both families. Also of a member that runs: it
# asks again when it starts. Side by side, as a name server that is away answers each with silence.
for name in $names; do
  {
    found=$({ ${limit:+$limit 20} getent ahosts "$name" || ${limit:+$limit 20} getent hosts "$name"; } 2>/dev/null | awk '{ print $1 }' | sort -u | tr '\n' ' ')
    if [ -n "$found" ]; then say "resolved $name $found"; else say "unresolved $name"; fi
  } &
done
wait
for aside in "$data_dir"/member.* "${wal_dir:-/nonexistent}"/wal.[0-9]*; do [ -e "$aside" ] && say "aside $aside"; done
for left in /var/tmp/etcd-steward.* "$snapshots"/.drill.* "$snapshots"/.taking.*; do
  [ -d "$left" ] && say "left $(stat -c %Y "$left") $left"
done
tell_addresses interface scope global
command -v chronyd >/dev/null 2>&1 || [ -x /usr/sbin/chronyd ] && say "time installed"
for file in /etc/runlevels/default/chronyd /etc/systemd/system/multi-user.target.wants/chrony*.service; do
  [ -e "$file" ] && say "time enabled"
done
look_at_snapshots
[ -L /etc/localtime ] && say "zone $(readlink /etc/localtime)"
if ! [ -x "$bin_dir/etcdctl" ] || ! [ -f "$cert" ]; then say "end"; exit 0; fi
if ! listens "$endpoint"; then
  say "etcd health no connection refused: nothing listens on $endpoint"
  say "end"
  exit 0
fi
# Each asks a connection of its own, so they run side by side; a line shorter than a pipe's buffer is written whole.
{ healthy "$endpoint" && say "etcd health yes" || say "etcd health no $(why)"; } &
{ newest "$prefix"
  if ctl "$endpoint" endpoint status -w json; then say "etcd status $answer"
  else say "etcd untold $(why)"; fi; } &
{ if ctl "$endpoint" member list -w json; then
    say "etcd members $answer"
    beside=$(following "$answer")
    [ -z "$beside" ] || { tried=$(across "$beside" 2) && say "etcd $tried"; }
  else say "etcd denied $(why)"; fi; } &
# etcd's check counts a refusal of its authentication as health, as it comes after the read.
{ ctl "$endpoint" get etcd-steward || say "etcd unread $(why)"; } &
{ ctl "$endpoint" alarm list && for word in $answer; do case $word in alarm:*) say "etcd alarm ${word#alarm:}" ;; esac; done; } &
wait
say "end"
