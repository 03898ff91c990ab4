# Restores a snapshot into a throw-away etcd and tells what it holds; nothing of the real member is touched. Needs ctl.sh and snapshot.sh.
# Set before: arch seconds file sha256
# It listens on sockets in a folder that only root can enter, so it needs neither ports nor certificates.
inside() { # etcdctl's arguments
  hear "$bin_dir/etcdctl" --endpoints=unix://client:1 --dial-timeout=2s --command-timeout="$limit" "$@"
}

cleared() {
  [ -z "$pid" ] || { kill "$pid" 2>/dev/null; wait "$pid" 2>/dev/null; pid=; }
  [ -z "$area" ] || { cd / && rm -rf "$area"; area=; }
}

proved() {
  [ -f "$file" ] || { broken "found no file $file, wanted the snapshot; next: choose another one"; return 1; }
  sum=$(digest <"$file")
  [ "$sum" = "$sha256" ] ||
    { broken "found SHA-256 $sum, wanted $sha256 as its manifest says; next: do not restore $file, take another one"; return 1; }
  whole "$file" || { broken "found a file without its own hash, wanted a snapshot that etcdctl saved; next: choose another one"; return 1; }
}

# Whoever holds the lock knows that what lies there is nobody's: its host was switched off, or its script killed.
swept() {
  for left in "$folder"/.drill.*; do
    [ -d "$left" ] || continue
    left=$(cd "$left" && pwd -P)
    slain "$left"
    rm -rf "$left"
  done
}

# What was started there also lives on where only who watches over it was ended.
slain() { # folder
  for one in /proc/[0-9]*; do
    if [ "$(readlink "$one/cwd")" = "$1" ] && [ "${one#/proc/}" != $$ ]; then kill -KILL "${one#/proc/}"; fi
  done
}

# The cause of a crash, rather than the last line of its trace.
ended_with() {
  { grep -m 1 -E '^panic: |"level":"(panic|fatal)"' log || tail -n 1 log; } | head -c 400
}

restored() {
  ready || return 1
  alone "$folder/.lock-drill" "drill at work" || return 1
  swept
  room "$(stat -c %s "$file")" || return 1
  area=$(mktemp -d "$folder/.drill.XXXXXX") && cd "$area" || return 1
  offline restore "$file" --data-dir data --name drill --initial-cluster drill=unix://peer:1 \
    --initial-advertise-peer-urls unix://peer:1 --initial-cluster-token "drill-$$"
  [ -f data/member/snap/db ] || { broken "found nothing restored ($(why)), wanted a data folder; next: take another snapshot"; return 1; }
  # Before anything has it open: with etcd's authentication on, the throw-away etcd tells nobody what it holds.
  inspect data/member/snap/db
  at=$(lines "$answer" | number revision)
  # From 3.6 on; it hashes what etcd itself does (measured with 3.6.16 and 3.7.3).
  hear "$bin_dir/etcdutl" hashkv data/member/snap/db ${at:+--rev="$at"} -w json || answer=
  proof=$answer
  # shellcheck disable=SC2119 # it needs no more flags
  thrown
}

# Starts an etcd on what lies in the folder, by another name, so that nobody takes it for a member, and waits until it has
# applied all of its log; it ends by itself, whatever becomes of this script.
# shellcheck disable=SC2120 # survivor.sh gives some
thrown() { # more flags
  ln -sf "$(readlink -f "$bin_dir/etcd")" throw-away
  (
    # shellcheck disable=SC3045 # dash and busybox have it
    ulimit -c 0
    # Whatever it may know of its peers, it reaches nobody: there is no proxy at that port.
    exec env -i PATH="$PATH" GOMAXPROCS=1 HTTP_PROXY=http://127.0.0.1:1 HTTPS_PROXY=http://127.0.0.1:1 \
      ${arch:+"ETCD_UNSUPPORTED_ARCH=$arch"} nice -n 19 timeout -s KILL 3600 ./throw-away \
      --name drill --data-dir data --log-level error --listen-client-urls unix://client:1 --advertise-client-urls unix://client:1 \
      --listen-peer-urls unix://peer:1 --initial-advertise-peer-urls unix://peer:1 --initial-cluster drill=unix://peer:1 "$@"
  ) >log 2>&1 9>&- &
  pid=$!
  # One that does not serve yet may take a question and never answer it.
  limit=4s
  IFS=. read -r up _ </proc/uptime
  until=$((up + seconds))
  while :; do
    inside endpoint status -w json || :
    status=$answer leader=$(lines "$answer" | number leader)
    # One that has no leader yet tells 0, and has not applied all of its log.
    if [ -n "$leader" ] && [ "$leader" != 0 ]; then return 0; fi
    if locked; then
      # A linearizable read is refused only after it was agreed upon: so a leader is there, and all of the log is applied.
      inside get etcd-steward || :
      if locked; then status=''; return 0; fi
    fi
    IFS=. read -r up _ </proc/uptime
    if [ "$up" -ge "$until" ] || ! readlink "/proc/$pid/exe" >/dev/null; then
      broken "found no etcd running on it after $seconds s ($(ended_with)), wanted one; next: take another snapshot"
      return 1
    fi
    sleep 0.2 2>/dev/null || sleep 1
  done
}

counted() {
  limit=30m
  if [ -n "$status" ]; then
    release=$(lines "$status" | word version) at=$(lines "$status" | number revision)
  else
    hear "$bin_dir/etcd" --version || :
    release=$(lines "$answer" | sed -n 's/^etcd Version: *//p')
    [ -n "$at" ] || { broken "found no revision in what was restored, wanted one; next: take another snapshot"; return 1; }
  fi
  inside get '' --prefix --keys-only --limit=1 -w json || :
  case $answer in
    '{"header"'*) keys=$(lines "$answer" | number count) keys=${keys:-0} ;;
    *)
      locked || { broken "found no count of keys ($(why)), wanted one; next: take another snapshot"; return 1; }
      keys=null
      ;;
  esac
  inside endpoint hashkv --rev="$at" -w json || :
  [ -n "$(lines "$answer" | number compact_revision)" ] || inside endpoint hashkv -w json || :
  hash=$(lines "$answer" | number hash) compacted=$(lines "$answer" | number compact_revision)
  if [ -z "$hash" ]; then hash=$(lines "$proof" | number hash) compacted=$(lines "$proof" | number compactRevision); fi
}

told() {
  say "restored {\"version\":\"$release\",\"revision\":$at,\"keys\":$keys,\"hash\":${hash:-null},\"compact_revision\":${compacted:-null}}"
}

drill() {
  pid='' area=''
  trap cleared EXIT
  trap 'exit 1' HUP INT TERM
  proved && restored && counted && told
  cleared
}
