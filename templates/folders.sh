# Makes folders with their owner and mode.
# Set before: folders (path mode owner, each behind the other)
set -- $folders
while [ $# -ge 3 ]; do
  (umask 022 && mkdir -p "$1")
  chown "$3" "$1"
  chmod "$2" "$1"
  shift 3
done
