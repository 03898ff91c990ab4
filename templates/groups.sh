# group_of NAME: prints the group's entry. Groups may come from elsewhere than /etc/group (altfiles, extrausers, SSSD), as the
# host's own tools know; where nothing can ask for them (Alpine without musl-utils), there is the file alone.
group_of() {
  if command -v getent >/dev/null 2>&1; then getent group "$1"; else grep "^$1:" /etc/group; fi 2>/dev/null | head -n 1
}
