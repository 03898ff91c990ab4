# Makes folders with their owner and mode. Needs enter.sh.
# Set before: folders (path mode owner, each behind the other)
set -- $folders
while [ $# -ge 3 ]; do
  enter "$1" || exit 1
  chown "$3" .
  chmod "$2" .
  # shellcheck disable=SC2034 # enter reads it
  entered=
  shift 3
done
cd /
