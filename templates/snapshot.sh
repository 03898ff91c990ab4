# Takes a snapshot of the own member, proves it, writes its manifest, prunes, and calls the operator's command; needs ctl.sh.
# Set before: endpoint folder data_dir cluster member quorum spare_mb keep days hours command user
broken() { say "failed $*"; return 1; }
# Says what helps where etcd did not do what it was asked for.
cure() {
  if locked; then say "as root of etcd: etcdctl user add $user --no-password && etcdctl user grant-role $user root"
  else say "look at etcd's log"; fi
}
number() { sed -n 's/.*"'"$1"'":\(-\{0,1\}[0-9][0-9]*\).*/\1/p'; }
word() { sed -n 's/.*"'"$1"'":"\([^"]*\)".*/\1/p'; }
# shellcheck disable=SC2034 # become_ctl reads it
patient() { longest=2400 && ctl "$endpoint" --command-timeout=30m "$@"; }
# Runs a command for some seconds at most, with all that it starts: what is left of it would keep its output open.
bounded() { # seconds command...
  over=$1
  shift
  if ! command -v setsid >/dev/null 2>&1; then "$@"; return; fi
  setsid "$@" &
  child=$!
  setsid sh -c "sleep $over; kill -s KILL -- -$child" >/dev/null 2>&1 &
  watcher=$!
  wait "$child"
  outcome=$?
  kill -s KILL -- "-$watcher" 2>/dev/null
  return "$outcome"
}
digest() { sha256sum | cut -d ' ' -f 1; }

# etcdctl appends a SHA-256 of the database to the file; a copied database has none.
whole() {
  bytes=$(stat -c %s "$1")
  [ $((bytes % 512)) = 32 ] &&
    [ "$(head -c $((bytes - 32)) "$1" | digest)" = "$(tail -c 32 "$1" | od -An -v -tx1 | tr -d ' \n')" ]
}

# The exit status of an unknown subcommand is 0, so only what it answers or makes counts; 3.4 has no etcdutl.
offline() { # words of the command snapshot
  tool=$bin_dir/etcdutl
  [ -x "$tool" ] || tool=$bin_dir/etcdctl
  hear "$tool" snapshot "$@" || :
}
inspect() { offline status "$1" -w json; }

room() { # bytes of the database
  free=$(df -Pk "$folder" | awk 'NR == 2 { print $4 }')
  needed=$(($1 * 2 / 1024 + 1024))
  if [ "$(stat -c %d "$folder")" = "$(stat -c %d "$data_dir")" ]; then needed=$((needed + spare_mb * 1024)); fi
  [ "$free" -ge "$needed" ] ||
    broken "found $((free / 1024)) MB free in $folder, wanted $((needed / 1024)) MB (twice the database, and what etcd needs); next: make room, or set etcd_snapshot_dir"
}

# 0: taken; 1: a compaction came between, so take it again; 2: failed.
once() { # origin
  rm -f "$work/db"
  patient snapshot save "$work/db" || :
  [ -f "$work/db" ] || { broken "found no snapshot ($(why)), wanted one; next: $(cure)"; return 2; }
  whole "$work/db" || { broken "found a snapshot without its own hash, wanted a whole one; next: run again"; return 2; }
  inspect "$work/db"
  at=$(lines "$answer" | number revision) total=$(lines "$answer" | number totalKey)
  [ -n "$at" ] && [ -n "$total" ] ||
    { broken "found a snapshot that cannot be read ($(why)), wanted one; next: run again"; return 2; }
  [ "$at" -ge "$floor" ] || at=$floor
  patient endpoint hashkv --rev="$at" -w json || :
  if [ -z "$(lines "$answer" | number compact_revision)" ]; then
    # Refused where everything up to that revision is compacted; then the snapshot may not even show its revision.
    patient endpoint hashkv -w json || :
    compacted=$(lines "$answer" | number compact_revision)
    [ -n "$compacted" ] || { broken "found no hash ($(why)), wanted one; next: $(cure)"; return 2; }
    if [ "$compacted" -gt "$at" ]; then floor=$compacted; return 1; fi
    [ "$(lines "$answer" | number revision)" = "$at" ] || answer=
  else
    # Of a revision up to which all is compacted, 3.5.34 and 3.6.16 tell the hash of before, from compaction -1 on; a
    # member that is started from the snapshot tells the one of afterwards.
    told=$answer
    patient endpoint hashkv -w json || :
    [ "$(lines "$answer" | number revision)" = "$at" ] || answer=$told
  fi
  hash=$(lines "$answer" | number hash) compacted=$(lines "$answer" | number compact_revision)
  patient get '' --prefix --keys-only --limit=1 --consistency=s --rev="$at" -w json || :
  case $answer in
    '{"header"'*) keys=$(lines "$answer" | number count) ;;
    *)
      case $(why) in *compacted*) return 1 ;; esac
      broken "found no count of keys ($(why)), wanted one; next: $(cure)"
      return 2
      ;;
  esac
  cluster_id=$(printf '%016x' "$(lines "$status" | number cluster_id)") member_id=$(printf '%016x' "$(lines "$status" | number member_id)")
  release=$(lines "$status" | word version) keys=${keys:-0}
  described "$1"
}

# Names the snapshot in $work/db and writes its manifest beside it.
described() { # origin
  now=$(date +%s)
  name=$cluster-$member-$(date -u -d "@$now" +%Y%m%dT%H%M%SZ)-r$at
  [ ! -e "$folder/$name.db" ] || name=$name-$$
  printf '{"written by":"etcd-steward","file":"%s","sha256":"%s","size":%s,"revision":%s,"keys":%s,"hash":%s,"compact_revision":%s,"total_keys":%s,"cluster":"%s","cluster_id":"%s","member":"%s","member_id":"%s","version":"%s","time":"%s","seconds":%s,"origin":"%s"}\n' \
    "$name.db" "$(digest <"$work/db")" "$(stat -c %s "$work/db")" "$at" "${keys:-null}" "${hash:-null}" "${compacted:-null}" \
    "$total" "$cluster" "$cluster_id" "$member" "$member_id" \
    "$release" "$(date -u -d "@$now" +%Y-%m-%dT%H:%M:%SZ)" "$now" "$1" >"$work/json" && grep -q '}$' "$work/json" ||
    { broken "found no way to write $work/json, wanted the manifest there; next: look at the disk"; return 2; }
}

# Both lie in $folder at the end, or neither. The manifest comes last, as nothing counts without it, and a run that is
# killed between the two is completed by the next one (`tidy`).
settle() {
  hear placed && return
  rm -f "$folder/$name.db"
  broken "found that the snapshot could not be put into $folder ($(why)), wanted it there; next: look at the disk"
}
placed() {
  dd if=/dev/null of="$work/json" conv=notrunc,fsync && mv "$work/db" "$folder/$name.db" && mv "$work/json" "$folder/$name.json"
}

# Clears what an ended run has left; a database that it had already put in its place gets its manifest.
tidy() {
  for left in "$folder"/.taking.*; do
    file=$(head -n 1 "$left/json" 2>/dev/null | word file)
    if [ -n "$file" ] && [ ! -e "$left/db" ] && [ -f "$folder/$file" ]; then
      mv "$left/json" "$folder/${file%.db}.json" || continue
    fi
    rm -rf "$left"
  done
}

take() { # origin
  ctl "$endpoint" endpoint status -w json || :
  status=$answer size=$(lines "$answer" | number dbSize)
  [ -n "$size" ] || { broken "found no answer from $endpoint ($(why)), wanted its status; next: $(cure)"; return 1; }
  # A linearizable read through this member proves that it has caught up, and that it is no learner.
  if [ "$quorum" = yes ] && ! healthy "$endpoint"; then
    broken "found a member that is not healthy ($(why)), wanted a healthy one; next: look at deploys/status.py"
    return 1
  fi
  room "$size" || return 1
  work=$(mktemp -d "$folder/.taking.XXXXXX") ||
    { broken "found no way to make a folder in $folder, wanted one; next: look at the disk"; return 1; }
  floor=1 tries=1
  while once "$1"; outcome=$?; [ $outcome = 1 ] && [ $tries -lt 4 ]; do tries=$((tries + 1)); done
  if [ $outcome = 0 ]; then
    settle || outcome=2
  elif [ $outcome = 1 ]; then broken "found a compaction during each of $tries tries, wanted none; next: run again"; fi
  rm -rf "$work"
  return $outcome
}

# Lists `cluster-id revision seconds name` of every snapshot that a manifest of ours names.
listed() {
  for manifest in "$folder"/*.json; do
    name=${manifest##*/} name=${name%.json}
    case $name in *[!A-Za-z0-9._-]*) continue ;; esac
    [ -f "$manifest" ] && [ -f "$folder/$name.db" ] || continue
    line=$(head -n 1 "$manifest")
    case $line in '{"written by":"etcd-steward","file":"'"$name.db"'",'*) ;; *) continue ;; esac
    set -- "$(lines "$line" | word cluster_id)" "$(lines "$line" | number revision)" "$(lines "$line" | number seconds)"
    [ -z "$1" ] || [ -z "$2" ] || [ -z "$3" ] || say "$1 $2 $3 $name"
  done
}

# By count and by age, of each cluster id by itself; never the newest three by revision, whatever a clock says.
prune() {
  listed | LC_ALL=C sort -k1,1 -k2,2nr -k3,3nr -k4,4r |
    awk -v now="$(date +%s)" -v keep="$keep" -v days="$days" '
      { n = $1 == id ? n + 1 : 1; id = $1; if (n > 3 && (n > keep || now - $3 > days * 86400)) print $4 }' |
    while read -r old; do rm -f "$folder/$old.db" "$folder/$old.json" && say "pruned $old.db"; done
}

# The timer fires every hour, so that a failed or missed one is made up for; a time in the future proves nothing, nor
# does a snapshot of a cluster that lived here before. Without an answer from etcd all count, as none could be taken.
due() {
  ctl "$endpoint" endpoint status -w json || :
  id=$(lines "$answer" | number cluster_id)
  [ -z "$id" ] || id=$(printf '%016x' "$id")
  listed | awk -v now="$(date +%s)" -v hours="$hours" -v id="$id" '
    { age = now - $3; if ((id == "" || $1 "" == id "") && age >= 0 && age + 300 < hours * 3600) fresh = 1 }
    END { exit fresh }'
}

ready() { # makes the folder, or refuses one that others can change
  umask 077
  if [ ! -e "$folder" ]; then (umask 022 && mkdir -p "${folder%/*}") && mkdir "$folder"; fi
  case $(stat -c '%u %a' "$folder") in
    '0 '*[2367]? | '0 '*[2367]) broken "found $folder writable by others, wanted 0700 of root; next: chmod 700 $folder" ;;
    '0 '*) ;;
    *) broken "found $folder of another owner, wanted root's; next: chown root $folder" ;;
  esac
}

# Waits for its like: the end of a run does not end what it started on a host.
alone() { # file what
  exec 9>"$1"
  waited=0
  until flock -n 9; do
    [ "$waited" -lt 120 ] || { broken "found another $2, wanted none; next: run again when it is done"; return 1; }
    sleep 1
    waited=$((waited + 1))
  done
}

snapshot() { # origin: scheduled is taken only when due
  ready || return 1
  alone "$folder/.lock" "snapshot being taken" || return 1
  tidy
  if [ "$1" = scheduled ] && ! due; then say "none is due"; return 0; fi
  take "$1" || return 1
  finished
}

# Tells what was taken, takes away what has had its time, and calls the operator's command.
finished() {
  made=$folder/$name
  say "taken $(cat "$made.json")"
  prune
  [ -n "$command" ] || return 0
  hear outside bounded "${patience:-3600}" env ETCD_SNAPSHOT="$made.db" ETCD_SNAPSHOT_MANIFEST="$made.json" \
    sh -c "$command" 9>&- </dev/null || :
  # What it wrote is told behind a word of its own, as whoever asked for the snapshot reads the lines of this script.
  lines "$answer
$said" | sed -n 's/^..*/command &/p'
  if [ "$ended" = 137 ]; then
    broken "found no end of etcd_snapshot_command within ${patience:-3600} s, wanted one; next: look at what it waits for; the snapshot is kept"
    return 1
  fi
  [ "$ended" = 0 ] ||
    broken "found exit status $ended of etcd_snapshot_command, wanted 0; next: look at what it said; the snapshot is kept"
}
