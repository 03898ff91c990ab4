# Lets a file of the boot partition be written, and keeps a copy of it as it was.
# Set before: file
set -e
was_closed=
disk=$(df -P "$file" | awk 'NR == 2 { print $6 }')
if ! (: >>"$file") 2>/dev/null; then
  mount -o remount,rw "$disk"
  was_closed=yes
fi
if ! [ -e "$file.before-etcd-steward" ]; then cp -p "$file" "$file.before-etcd-steward"; fi
