# Writes files whose lines come over standard input: in a room beside them first, then renamed, so that none is ever half. Needs enter.sh.
set -e
umask 077
stage() { # path mode owner lines; into the room that we are in
  new=${1##*/}
  if [ -d "../$new" ] && [ ! -L "../$new" ]; then echo "found a folder at $1, wanted a file; next: move it aside" >&2; exit 1; fi
  rm -f "./$new"
  rest=$4
  while [ "$rest" -gt 0 ]; do
    IFS= read -r line || { echo "the content of $1 was cut short" >&2; exit 1; }
    printf '%s\n' "$line"
    rest=$((rest - 1))
  done >"./$new"
  chown -h "$3" "./$new"
  chmod "$2" "./$new"
  dd if=/dev/null of="./$new" conv=notrunc,fsync 2>/dev/null
}
begin() { # path
  enter "${1%/*}" || exit 1
  own_room || exit 1
}
put() { # path mode owner lines
  begin "$1"
  stage "$@"
  mv -fT "./${1##*/}" "../${1##*/}"
  leave_room
}
# Switches two files of a folder by one command: etcd reads key and certificate for every connection, and refuses it while
# they do not belong together.
put_both() { # path mode owner lines, twice
  begin "$1"
  stage "$1" "$2" "$3" "$4"
  stage "$5" "$6" "$7" "$8"
  mv -f "./${1##*/}" "./${5##*/}" ../
  leave_room
}
