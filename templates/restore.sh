# Restores a snapshot beside a member's data, so that a rename brings it in; done twice, it does nothing more. Needs enter.sh and snapshot.sh.
# Set before: file sha256 data_dir wal_dir beside incoming owner name members peer_url token bump spare_mb
# In rooms of root's own, which stay what they are whatever etcd's account does beside them: its member may run meanwhile.
lodged() { # folder
  enter "$1" && rm -rf ./member.new-* ./wal.new-* ./.restore && own_room && rm -rf ./data ./wal ||
    broken "${astray:-found no way to work in $1, wanted one; next: look at the disk}"
}

space() { # folder kilobytes
  free=$(df -Pk "$1" | awk 'NR == 2 { print $4 }')
  [ "$free" -ge "$2" ] || broken "found $((free / 1024)) MB free in $1, wanted $(($2 / 1024)) MB for what is restored; next: make room"
}

# What is written once all members are stopped, such as configuration and record, finds room: whoever is stopped starts again.
roomy() { # folder
  [ -d "$1" ] || return 0
  enter "$1" && own_room || { broken "${astray:-found no way to work in $1, wanted one; next: look at the disk}"; return 1; }
  hear dd if=/dev/zero of=./room bs=1024 count=256 conv=fsync && whole=yes || whole=
  rm -f ./room
  leave_room
  [ -n "$whole" ] || { broken "found no room in $1 ($(why)), wanted 256 KB for what is written there; next: make room, then run again"; return 1; }
}

# Without a word mv leaves what is there already, and its exit status may be 0 then.
laid() { # path to
  hear mv -nT "$1" "$2" && [ ! -e "$1" ] ||
    broken "found $1 not moved to $2 (${said:-something lies there}), wanted it there; next: look at the disk, then run again"
}

staged() {
  for folder in $beside; do roomy "$folder" || return 1; done
  if [ -d "$data_dir/member.$incoming" ]; then say "staged already"; return 0; fi
  [ -f "$file" ] || { broken "found no file $file, wanted the snapshot; next: run again"; return 1; }
  sum=$(digest <"$file")
  [ "$sum" = "$sha256" ] || { broken "found SHA-256 $sum, wanted $sha256 as its manifest says; next: run again, and look at the disk"; return 1; }
  # The write-ahead log begins with a segment of 64 MB.
  space "$data_dir" $(($(stat -c %s "$file") / 1024 + 65536 + spare_mb * 1024)) || return 1
  [ -z "$wal_dir" ] || space "$wal_dir" $((65536 + spare_mb * 1024)) || return 1
  umask 077
  # What restores that changed nothing have left goes first; nobody else writes folders of these names, and the snapshot has it all.
  log=
  if [ -n "$wal_dir" ]; then
    lodged "$wal_dir" || return 1
    exec 7<. && log=/proc/self/fd/7 outer=$at
  fi
  lodged "$data_dir" || return 1
  # shellcheck disable=SC2086 # words
  offline restore "$file" --data-dir data ${log:+--wal-dir "$log/wal"} --name "$name" \
    --initial-cluster "$members" --initial-advertise-peer-urls "$peer_url" --initial-cluster-token "$token" $bump
  [ -f data/member/snap/db ] || { broken "found nothing restored ($(why)), wanted a data folder; next: take another snapshot"; return 1; }
  head=
  for segment in "${log:-data/member}"/wal/*.wal; do [ -f "$segment" ] && head=$segment; done
  [ -n "$head" ] || { broken "found no write-ahead log restored ($(why)), wanted one; next: take another snapshot"; return 1; }
  say "ids $(head -c 512 "$head" | od -An -v -tx1 | tr -d ' \n')"
  inspect data/member/snap/db
  say "proof ${answer:-$(why)}"
  chown -R -h "$owner" data ${log:+"$log/wal"}
  sync
  # The log first: where the data lies, a later run takes it that all does.
  if [ -n "$log" ]; then laid "$log/wal" "$log/../wal.$incoming" || return 1; fi
  laid data/member "../member.$incoming" || return 1
  rm -rf ./data
  leave_room
  if [ -n "$log" ]; then rmdir "$log/../$outer" 2>/dev/null || :; exec 7<&-; fi
  say "staged now"
}
staged || :
