# Looks for keys of the v2 interface, in a copy of the own log and raft snapshots: etcdutl wants a folder that no etcd
# uses, and reads no database. Needs ctl.sh and enter.sh. Set before: etcdutl data_dir wal_dir folder
umask 077
wal=${wal_dir:-$data_dir/member}/wal
enter "$folder" && rm -rf ./.v2store.* && own_room || { say "v2store ${astray:-no folder $folder}"; exit 0; }
rm -rf ./copy
needed=$(du -sk "$wal" "$data_dir/member/snap" | awk '{ sum += $1 } END { print sum + 65536 }')
free=$(df -Pk . | awk 'NR == 2 { print $4 }')
if [ "$free" -lt "$needed" ]; then leave_room; say "v2store $((free / 1024)) MB free in $folder for a copy of the log, wanted $((needed / 1024)) MB"; exit 0; fi
mkdir -p copy/member/snap copy/member/wal || exit 0
# etcdutl calls an empty folder clean, and a log that ends early too: without a whole copy it is not even asked.
whole() {
  # The log first: a raft snapshot that it does not name yet is passed over.
  for file in "$wal"/*.wal; do
    # shellcheck disable=SC2034 # why reads them
    if [ -L "$file" ]; then said="a link at $file" answer=''; return 1; fi
    hear cp "$file" copy/member/wal/ || return 1
  done
  for file in "$data_dir"/member/snap/*.snap; do
    [ -f "$file" ] && [ ! -L "$file" ] || continue
    if hear cp "$file" part; then mv part "copy/member/snap/${file##*/}" || return 1
    # etcd removes the oldest one when it has written another.
    elif [ -e "$file" ]; then return 1; fi
  done
}
if whole; then
  if hear "$etcdutl" check v2store --data-dir copy; then lines "$answer" | sed 's/^/v2store /'; else say "v2store $(why)"; fi
else
  say "v2store no whole copy of the log in $folder ($(why))"
fi
rm -rf ./copy ./part
leave_room
