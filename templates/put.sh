# Writes files whose lines come over standard input: all of them into rooms beside their places first, and on the disk;
# then `settle` renames, so that none is ever half, and a full disk is found out before anything is changed. Needs enter.sh.
set -e
umask 077
lost() { # path reason
  echo "found no way to write $1${2:+ ($2)}, wanted it on the disk; next: look at the space and the state of that disk, then run again" >&2
  exit 1
}
stage() { # path mode owner lines; into the room that we are in
  new=${1##*/}
  if [ -d "../$new" ] && [ ! -L "../$new" ]; then echo "found a folder at $1, wanted a file; next: move it aside" >&2; exit 1; fi
  rm -f "./$new"
  rest=$4
  while [ "$rest" -gt 0 ]; do
    IFS= read -r line || { echo "the content of $1 was cut short" >&2; exit 1; }
    printf '%s\n' "$line" || lost "$1"
    rest=$((rest - 1))
  done >"./$new" || lost "$1"
  # Not every shell's own printf tells that the disk was full.
  [ "$(wc -l <"./$new")" -eq "$4" ] || lost "$1" "it came out shorter than it is"
  chown -h "$3" "./$new"
  chmod "$2" "./$new"
  # It counts records where all is well, so only a failure is let speak, the second time.
  dd if=/dev/null of="./$new" conv=notrunc,fsync 2>/dev/null || { dd if=/dev/null of="./$new" conv=notrunc,fsync; lost "$1"; }
}
# The rooms are told apart by the order of the calls, which is the same for both words.
begun=0 settled=0
begin() { # path
  enter "${1%/*}" || exit 1
  own_room || exit 1
  begun=$((begun + 1))
  eval "room_$begun=\$at"
}
begin_again() { # path
  settled=$((settled + 1))
  eval "at=\$room_$settled"
  enter "${1%/*}" || exit 1
  into_room || exit 1
}
put() { # path mode owner lines
  begin "$1"
  stage "$@"
  leave_room
}
settle() { # path
  begin_again "$1"
  mv -fT "./${1##*/}" "../${1##*/}"
  leave_room
}
# Switches two files of a folder by one command: etcd reads key and certificate for every connection, and refuses it while
# they do not belong together.
put_both() { # path mode owner lines, twice
  begin "$1"
  stage "$1" "$2" "$3" "$4"
  stage "$5" "$6" "$7" "$8"
  leave_room
}
settle_both() { # path path
  begin_again "$1"
  mv -f "./${1##*/}" "./${2##*/}" ../
  leave_room
}
