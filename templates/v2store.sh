# Looks for keys of the v2 interface, in a copy of the own log and raft snapshots: etcdutl wants a folder that no etcd
# uses, and reads no database. Needs ctl.sh. Set before: etcdutl data_dir wal_dir folder
umask 077
wal=${wal_dir:-$data_dir/member}/wal
mkdir -p "$folder"
rm -rf "$folder"/.v2store.*
needed=$(du -sk "$wal" "$data_dir/member/snap" | awk '{ sum += $1 } END { print sum + 65536 }')
free=$(df -Pk "$folder" | awk 'NR == 2 { print $4 }')
if [ "$free" -lt "$needed" ]; then say "v2store $((free / 1024)) MB free in $folder for a copy of the log, wanted $((needed / 1024)) MB"; exit 0; fi
copy=$(mktemp -d "$folder/.v2store.XXXXXX") && mkdir -p "$copy/member/snap" "$copy/member/wal" || exit 0
# etcdutl calls an empty folder clean, and a log that ends early too: without a whole copy it is not even asked.
whole() {
  # The log first: a raft snapshot that it does not name yet is passed over.
  hear cp "$wal"/*.wal "$copy/member/wal/" || return 1
  for file in "$data_dir"/member/snap/*.snap; do
    [ -f "$file" ] || continue
    if hear cp "$file" "$copy/part"; then mv "$copy/part" "$copy/member/snap/${file##*/}" || return 1
    # etcd removes the oldest one when it has written another.
    elif [ -e "$file" ]; then return 1; fi
  done
}
if whole; then
  if hear "$etcdutl" check v2store --data-dir "$copy"; then say "$answer" | sed 's/^/v2store /'; else say "v2store $(why)"; fi
else
  say "v2store no whole copy of the log in $folder ($(why))"
fi
rm -rf "$copy"
