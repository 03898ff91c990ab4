# Looks for keys of the v2 interface, in a copy of the own log and raft snapshots: etcdutl wants a folder that no etcd
# uses, and reads no database. Set before: etcdutl data_dir wal_dir folder
say() { printf '%s\n' "$*"; }
umask 077
wal=${wal_dir:-$data_dir/member}/wal
mkdir -p "$folder"
rm -rf "$folder"/.v2store.*
needed=$(du -sk "$wal" "$data_dir/member/snap" | awk '{ sum += $1 } END { print sum + 65536 }')
free=$(df -Pk "$folder" | awk 'NR == 2 { print $4 }')
if [ "$free" -lt "$needed" ]; then say "v2store $((free / 1024)) MB free in $folder for a copy of the log, wanted $((needed / 1024)) MB"; exit 0; fi
copy=$(mktemp -d "$folder/.v2store.XXXXXX") && mkdir -p "$copy/member/snap" "$copy/member/wal" || exit 0
# The log first: a raft snapshot that it does not name yet is passed over.
cp "$wal"/*.wal "$copy/member/wal/"
for file in "$data_dir"/member/snap/*.snap; do [ -f "$file" ] && cp "$file" "$copy/member/snap/"; done
"$etcdutl" check v2store --data-dir "$copy" 2>&1 | grep -v '^{' | while IFS= read -r line; do say "v2store $line"; done
rm -rf "$copy"
