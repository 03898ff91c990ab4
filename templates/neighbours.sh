# Tells what others have put beside files of ours, where it decides as well: the names of its keys, and never a value, as that
# may be a secret. What cannot be read may say anything, so it is told as that. Needs say.
# Set before: beside_as (what each line begins with, or nothing)
# beside FORM FILE...: FORM is yaml, json, toml, environment (what of k3s is in it) or unit (likewise, with flags of the command).
beside() {
  form=$1 told=0
  shift
  for file in "$@"; do
    if ! [ -e "$file" ] && ! [ -L "$file" ]; then continue; fi
    told=$((told + 1))
    if [ "$told" -gt 100 ]; then
      say "${beside_as}beside unread ${file%/*}/..."
      break
    fi
    say "${beside_as}beside file $file"
    if keys=$(keys_in "$form" "$file" 2>/dev/null); then
      [ -z "$keys" ] || printf '%s\n' "$keys" | sort -u | head -n 200 | while read -r one; do say "${beside_as}beside key $one $file"; done
      [ "$(printf '%s\n' "$keys" | sort -u | wc -l)" -le 200 ] || say "${beside_as}beside unread $file"
    else say "${beside_as}beside unread $file"; fi
  done
}
# keys_in FORM FILE: prints the keys, and fails where they cannot be told for sure.
keys_in() {
  # A pipe would never end.
  [ -f "$2" ] && [ -r "$2" ] && [ "$(wc -c <"$2")" -le 65536 ] || return 1
  case $1 in
    yaml)
      # YAML contains JSON.
      case $(sed -e '/^[[:space:]]*#/d' -e '/^---[[:space:]]*$/d' -e '/^[[:space:]]*$/d' -e 's/^[[:space:]]*//' "$2" | head -c 1) in
        '{') sed -e '/^[[:space:]]*#/d' -e '/^---[[:space:]]*$/d' "$2" | json_keys ;;
        *) yaml_keys <"$2" ;;
      esac
      ;;
    *) "${1}_keys" <"$2" ;;
  esac
}
# Keys stand at the beginning of a line, each on one of its own: all else is left to real readers of YAML.
yaml_keys() {
  awk '
    function fail() { failed = 1; exit }
    { sub(/\r$/, "") }
    NR == 1 { sub(/^\357\273\277/, "") }
    /^[ \t]*(#.*)?$/ || /^---[ \t]*(#.*)?$/ || /^\.\.\.[ \t]*$/ { next }
    /^[ \t]/ || /^-([ \t]|$)/ { if (!seen) fail(); next }
    match($0, /^("[^"\\]*"|\047[^\047]*\047|[A-Za-z0-9_.][A-Za-z0-9_.+-]*)[ \t]*:/) {
      key = substr($0, 1, RLENGTH - 1)
      rest = substr($0, RLENGTH + 1)
      gsub(/[ \t"\047]/, "", key)
      if (rest !~ /^([ \t]|$)/ || key !~ /^[A-Za-z0-9_.+-]+$/ || length(key) > 100) fail()
      print key
      seen = 1
      next
    }
    { fail() }
    END { exit failed }'
}
# The keys of the outermost object. It is read line by line, as no text goes over the end of one.
json_keys() {
  awk '
    function fail() { failed = 1; exit }
    NR == 1 { sub(/^\357\273\277/, "") }
    {
      for (at = 1; at <= length($0); at++) {
        sign = substr($0, at, 1)
        if (inside) {
          if (sign == "\\") { word = word substr($0, at, 2); at++ }
          else if (sign == "\"") { inside = 0; before = "text" }
          else word = word sign
          continue
        }
        if (sign == " " || sign == "\t" || sign == "\r") { bare = 0; continue }
        if (ended) fail()
        if (sign ~ /[A-Za-z0-9.+-]/) {
          if (!bare && before !~ /^[\[,:]$/) fail()
          bare = 1
          before = "word"
          continue
        }
        bare = 0
        if (sign == "\"") {
          if (before !~ /^[{\[,:]$/) fail()
          inside = 1
          word = ""
          continue
        }
        if (sign == "{" || sign == "[") {
          if (depth == 0 ? sign != "{" : before !~ /^[\[,:]$/) fail()
          kind[++depth] = sign
        } else if (sign == "}" || sign == "]") {
          if (depth == 0 || before ~ /^[,:]$/ || (sign == "}") != (kind[depth] == "{")) fail()
          if (--depth == 0) ended = 1
        } else if (sign == ":") {
          if (depth == 0 || kind[depth] != "{" || before != "text") fail()
          if (depth == 1) { if (word !~ /^[A-Za-z0-9_.+-]+$/ || length(word) > 100) fail(); print word }
        } else if (sign == ",") {
          if (depth == 0 || before ~ /^[{\[,:]$/) fail()
        } else fail()
        before = sign
      }
      if (inside) fail()
      bare = 0
    }
    # One that holds nothing at all says nothing.
    END { exit failed || (before != "" && !ended) }'
}
# Whole names of keys, with their tables in front.
toml_keys() {
  awk '
    function short(text) { gsub(/[ \t]/, "", text); gsub(/[^A-Za-z0-9_.:\/"\047-]/, "?", text); return substr(text, 1, 100) }
    # An element of a list is no key, whatever is in it.
    function key(line, found) {
      while (match(line, /^("[^"]*"|\047[^\047]*\047|[A-Za-z0-9_-]+)[ \t]*/)) {
        found = found substr(line, 1, RLENGTH)
        line = substr(line, RLENGTH + 1)
        if (line ~ /^=/) return short(found)
        if (line !~ /^\./) return ""
        found = found "."
        sub(/^\.[ \t]*/, "", line)
      }
      return ""
    }
    { sub(/\r$/, ""); sub(/^[ \t]+/, "") }
    /^(#|$)/ { next }
    /^\[\[?[^][,]+\]/ { table = $0; gsub(/^\[+|\].*$/, "", table); table = short(table) "."; next }
    { found = key($0, ""); if (found != "") print table found }'
}
environment_keys() {
  awk '
    /^[ \t]*[#;]/ { next }
    { while (match($0, /K3S_[A-Z0-9_]+=/)) { print substr($0, RSTART, RLENGTH - 1); $0 = substr($0, RSTART + RLENGTH) } }'
}
unit_keys() {
  awk '
    /^[ \t]*[#;]/ { next }
    !goes_on { command = /^[ \t]*ExecStart[ \t]*=/ }
    { goes_on = /\\$/; line = $0 }
    { while (match(line, /K3S_[A-Z0-9_]+=/)) { print substr(line, RSTART, RLENGTH - 1); line = substr(line, RSTART + RLENGTH) } }
    command { line = $0; while (match(line, /--[a-z][a-z0-9-]*/)) { print substr(line, RSTART, RLENGTH); line = substr(line, RSTART + RLENGTH) } }'
}
