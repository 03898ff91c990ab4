# Writes files whose lines come over standard input: in the same folder first, then renamed, so that none is ever half.
set -e
umask 077
put() { # path mode owner lines
  folder=${1%/*} new=${1%/*}/.${1##*/}.steward
  if [ -d "$1" ]; then echo "found a folder at $1, wanted a file; next: move it aside" >&2; exit 1; fi
  (umask 022 && mkdir -p "$folder")
  rest=$4
  while [ "$rest" -gt 0 ]; do
    IFS= read -r line || { echo "the content of $1 was cut short" >&2; exit 1; }
    printf '%s\n' "$line"
    rest=$((rest - 1))
  done >"$new"
  chown "$3" "$new"
  chmod "$2" "$new"
  dd if=/dev/null of="$new" conv=notrunc,fsync 2>/dev/null
  mv -f "$new" "$1"
}
