# Moves a member's data aside, in place: a data folder is often a mount point, and nothing is ever deleted.
# Set before: data_dir wal_dir incoming (the ending of data that takes its place; done twice, it does nothing more)
stamp=$(date -u +%Y%m%dT%H%M%SZ)
free() { # path: the first name that is not taken
  n=1
  while [ -e "$1.$stamp-$n" ] || [ -L "$1.$stamp-$n" ]; do n=$((n + 1)); done
  printf '%s\n' "$1.$stamp-$n"
}
change() { # path
  [ -z "$incoming" ] || [ -d "$1.$incoming" ] || return 0
  # A link is renamed as it is: it leads where etcd's account wants.
  if [ -e "$1" ] || [ -L "$1" ]; then mv -nT "$1" "$(free "$1")"; fi
  # Where something lies there still, mv may say nothing; over the old log no new data goes.
  [ -z "$incoming" ] || { mv -nT "$1.$incoming" "$1" && [ ! -e "$1.$incoming" ]; }
}
[ -z "$wal_dir" ] || change "$wal_dir/wal"
change "$data_dir/member"
