# Makes a system group and account; busybox and shadow spell it differently. Needs groups.sh.
# Set before: user group uid gid
set -e
if [ -z "$(group_of "$group")" ]; then
  if command -v groupadd >/dev/null; then groupadd --system ${gid:+--gid "$gid"} "$group"
  else addgroup -S ${gid:+-g "$gid"} "$group"; fi
fi
if ! id "$user" >/dev/null 2>&1; then
  shell=/sbin/nologin
  [ -x "$shell" ] || shell=/usr/sbin/nologin
  if command -v useradd >/dev/null; then
    useradd --system --no-create-home --home-dir /nonexistent --shell "$shell" --gid "$group" ${uid:+--uid "$uid"} "$user"
  else
    adduser -S -D -H -h /nonexistent -s "$shell" -G "$group" ${uid:+-u "$uid"} "$user"
  fi
fi
