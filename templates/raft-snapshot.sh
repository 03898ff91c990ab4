# Tells a member's newest raft snapshot, and writes a key a few times so that it makes another; needs ctl.sh.
# Set before: endpoint data_dir name writes
newest=
# The names begin with the term and have a fixed width, so the last one is the newest.
for file in "$data_dir"/member/snap/*.snap; do [ -f "$file" ] && newest=${file##*/}; done
say "snapshot ${newest:-none}"
count=0
while [ "$count" -lt "$writes" ]; do
  count=$((count + 1))
  ctl "$endpoint" put "$name" "$count" || { say "refused $(why)"; break; }
done
[ "$writes" -eq 0 ] || ctl "$endpoint" del "$name" || :
