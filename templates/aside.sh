# Moves a member's data aside, in place: a data folder is often a mount point, and nothing is ever deleted.
# Set before: data_dir wal_dir
stamp=$(date -u +%Y%m%dT%H%M%SZ)
free() { # path: the first name that is not taken
  n=1
  while [ -e "$1.$stamp-$n" ]; do n=$((n + 1)); done
  printf '%s\n' "$1.$stamp-$n"
}
if [ -e "$data_dir/member" ]; then mv -nT "$data_dir/member" "$(free "$data_dir/member")"; fi
if [ -n "$wal_dir" ] && [ -e "$wal_dir/wal" ]; then mv -nT "$wal_dir/wal" "$(free "$wal_dir/wal")"; fi
