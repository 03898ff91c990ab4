# Tells of snapshots and their schedule; needs say.
# Set before: snapshots (folder) job timer cron_mark
look_at_snapshots() {
  # shellcheck disable=SC2012 # ours have plain names, and what is no manifest is passed over by its reader
  ls -t "$snapshots"/*.json 2>/dev/null | head -n 3 | while IFS= read -r manifest; do
    [ -f "${manifest%.json}.db" ] && say "snapshot $(head -n 1 "$manifest")"
  done
  [ -f "$job" ] && say "schedule since=$(stat -c %Y "$job")"
  if [ -f "/etc/systemd/system/$timer" ] && [ -d /run/systemd/system ]; then
    systemctl show "$timer" -p ActiveState -p UnitFileState -p NeedDaemonReload 2>/dev/null | while IFS= read -r line; do say "schedule $line"; done
  fi
  if [ -e /run/openrc/softlevel ]; then
    line=$(grep -F -e "$cron_mark" /etc/crontabs/root 2>/dev/null) && say "schedule line=$line"
    [ -e /etc/runlevels/default/crond ] || [ -e /etc/runlevels/boot/crond ] && say "schedule UnitFileState=enabled"
    rc-service crond status >/dev/null 2>&1 && say "schedule ActiveState=active"
  fi
}
