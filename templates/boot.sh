# Lets a file of the boot partition be written, keeps a copy of it as it was, and closes the partition again.
# Set before: file
set -e
closed=
disk=$(df -P "$file" | awk 'NR == 2 { print $6 }')
if ! (: >>"$file") 2>/dev/null; then
  mount -o remount,rw "$disk"
  closed=yes
fi
if ! [ -e "$file.before-etcd-steward" ]; then cp -p "$file" "$file.before-etcd-steward"; fi
close_boot() {
  sync
  if [ -n "$closed" ]; then mount -o remount,ro "$disk"; fi
}
