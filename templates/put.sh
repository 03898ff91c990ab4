# Writes files whose lines come over standard input: in the same folder first, then renamed, so that none is ever half.
set -e
umask 077
stage() { # path mode owner lines new
  if [ -d "$1" ]; then echo "found a folder at $1, wanted a file; next: move it aside" >&2; exit 1; fi
  rest=$4
  while [ "$rest" -gt 0 ]; do
    IFS= read -r line || { echo "the content of $1 was cut short" >&2; exit 1; }
    printf '%s\n' "$line"
    rest=$((rest - 1))
  done >"$5"
  chown "$3" "$5"
  chmod "$2" "$5"
  dd if=/dev/null of="$5" conv=notrunc,fsync 2>/dev/null
}
put() { # path mode owner lines
  (umask 022 && mkdir -p "${1%/*}")
  stage "$@" "${1%/*}/.${1##*/}.steward"
  mv -f "${1%/*}/.${1##*/}.steward" "$1"
}
# Switches two files of a folder by one command: etcd reads key and certificate for every connection, and refuses it while
# they do not belong together.
put_both() { # path mode owner lines, twice
  room=${1%/*}/.steward
  (umask 022 && mkdir -p "${1%/*}")
  mkdir -p "$room"
  stage "$1" "$2" "$3" "$4" "$room/${1##*/}"
  stage "$5" "$6" "$7" "$8" "$room/${5##*/}"
  mv -f "$room/${1##*/}" "$room/${5##*/}" "${1%/*}/"
  rmdir "$room" 2>/dev/null || :
}
