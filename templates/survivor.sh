# Gives a snapshot of the data that lies on this host, whatever its own etcd does: a throw-away etcd reads a copy of it, and
# the data itself is only read. Needs ctl.sh, snapshot.sh and drill.sh.
# Set before: log segment position sum record releases cluster_id member_id arch seconds
# The record calls all of the log agreed upon, see etcd_steward/wal.py.
condition() { stat -c '%s %y' "$data_dir/member/snap/db"; }

enough() {
  free=$(df -Pk "$folder" | awk 'NR == 2 { print $4 }')
  # The copy, a log of two segments that the throw-away etcd begins, and what etcd needs.
  needed=$(($(du -sk "$data_dir/member/snap" "$log" | awk '{ sum += $1 } END { print sum }') + 131072))
  if [ "$(stat -c %d "$folder")" = "$(stat -c %d "$data_dir")" ]; then needed=$((needed + spare_mb * 1024)); fi
  [ "$free" -ge "$needed" ] ||
    broken "found $((free / 1024)) MB free in $folder, wanted $((needed / 1024)) MB for a copy of the data; next: make room, or set etcd_snapshot_dir"
}

copied() {
  rm -rf data && mkdir -p data/member/snap data/member/wal ||
    { broken "found no way to make a folder in $folder, wanted one; next: look at the disk"; return 1; }
  before=$(condition) newest=
  for one in "$data_dir"/member/snap/db "$data_dir"/member/snap/*.snap "$data_dir"/member/snap/*.snap.db; do
    [ ! -f "$one" ] || hear cp "$one" data/member/snap/ || { broken "found no copy of $one ($(why)), wanted one; next: look at the disk"; return 1; }
  done
  for one in "$log"/*.wal; do
    [ ! -f "$one" ] || hear cp "$one" data/member/wal/ || { broken "found no copy of $one ($(why)), wanted one; next: look at the disk"; return 1; }
    newest=${one##*/}
  done
  # A running etcd without a leader appends nothing that a client was told of, and leaves its database alone.
  [ "$(condition)" = "$before" ] ||
    { broken "found that $data_dir/member/snap/db was written to while it was copied, wanted it still; next: stop the etcd of this host, then run again"; return 1; }
  [ -n "$segment" ] || return 0
  [ "$newest" = "$segment" ] && [ "$(head -c "$position" "data/member/wal/$segment" | digest)" = "$sum" ] ||
    { broken "found that the log in $log went on while it was copied, wanted it still; next: stop the etcd of this host, then run again"; return 1; }
  # shellcheck disable=SC2059 # octal numbers
  { head -c "$position" "data/member/wal/$segment" && printf "$record"; } >patched && mv patched "data/member/wal/$segment"
}

# Ends the throw-away etcd as a service manager does, so that its database holds all that it has applied.
ended() {
  kill "$pid" 2>/dev/null
  IFS=. read -r up _ </proc/uptime
  until=$((up + seconds))
  while readlink "/proc/$pid/exe" >/dev/null; do
    IFS=. read -r up _ </proc/uptime
    [ "$up" -lt "$until" ] || { broken "found that the throw-away etcd did not end within $seconds s, wanted its database; next: run again"; return 1; }
    sleep 0.2 2>/dev/null || sleep 1
  done
  wait "$pid" 2>/dev/null
  pid=
}

# As etcdctl does it.
sealed() {
  marks=$(digest <"$1" | awk '{
    for (i = 1; i < length($0); i += 2)
      printf "\\%03o", 16 * (index("0123456789abcdef", substr($0, i, 1)) - 1) + index("0123456789abcdef", substr($0, i + 1, 1)) - 1 }')
  # shellcheck disable=SC2059 # octal numbers
  printf "$marks" >>"$1"
}

# shellcheck disable=SC2034 # snapshot.sh and drill.sh read what is set here
given() { # origin
  ready || return 1
  alone "$folder/.lock-drill" "drill at work" || return 1
  swept
  enough || return 1
  area=$(mktemp -d "$folder/.drill.XXXXXX") && cd "$area" || return 1
  untold=
  for bin_dir in $releases; do
    [ -x "$bin_dir/etcd" ] || continue
    copied || return 1
    at='' keys='' hash='' compacted='' proof=''
    if thrown --force-new-cluster >complaint; then break; fi
    slain "$(pwd -P)"
    wait "$pid" 2>/dev/null
    pid=
    untold="$untold${untold:+; }${bin_dir##*/}: $(sed 's/^failed //; s/, wanted one; next:.*//' complaint)"
    bin_dir=
  done
  [ -n "$pid" ] || { broken "found no etcd that starts from a copy of $data_dir (${untold:-no release is here}), wanted one; next: name another host with etcd_snapshot=from:HOST, or restore a snapshot"; return 1; }
  if [ -n "$status" ]; then counted || return 1; fi
  release=$("$bin_dir/etcd" --version | sed -n 's/^etcd Version: *//p')
  ended || return 1
  inspect data/member/snap/db
  found=$(lines "$answer" | number revision) total=$(lines "$answer" | number totalKey)
  [ -n "$found" ] && [ -n "$total" ] || { broken "found a database that cannot be read ($(why)), wanted one; next: run again"; return 1; }
  # A lease may have ended since the keys were counted; with etcd's authentication on nobody counts them.
  if [ -z "$at" ] || [ "$found" -gt "$at" ]; then
    at=$found keys='' hash='' compacted=''
    if hear "$bin_dir/etcdutl" hashkv data/member/snap/db --rev="$at" -w json; then
      hash=$(lines "$answer" | number hash) compacted=$(lines "$answer" | number compactRevision)
    fi
  fi
  [ "$keys" != null ] || keys=
  alone "$folder/.lock" "snapshot being taken" || return 1
  work=$(mktemp -d "$folder/.taking.XXXXXX") && mv data/member/snap/db "$work/db" && sealed "$work/db" && whole "$work/db" ||
    { rm -rf "$work"; broken "found no way to write into $folder, wanted the snapshot there; next: look at the disk"; return 1; }
  described "$1" && settle || { rm -rf "$work"; return 1; }
  rm -rf "$work"
  finished
}

give() { # origin
  pid='' area=''
  trap cleared EXIT
  trap 'exit 1' HUP INT TERM
  given "$1"
  cleared
}
