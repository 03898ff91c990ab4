# Tries a member's client URL from another member's host: what clients reach is not what the loopback shows; needs ctl.sh.
# A status needs no quorum, and whoever leads. A refusal of etcd itself is told as well: it came from there.
across() { # url seconds
  if ctl "$1" endpoint status -w json --command-timeout="${2}s"; then say "across $1 yes"; else say "across $1 no $(why)"; fi
}
# Prints the client URL of the member that follows the one that answered in its own list, the first after the last;
# nothing where it is alone, or the next one has never started. Each member is tried by one other, however many there are.
following() { # the answer of `member list -w json`
  own=$(lines "$1" | sed -n 's/.*"member_id":\([0-9]*\).*/\1/p')
  # A quote in a name is escaped, so that no name looks like a field.
  lines "$1" | awk -v own="$own" '
    { count = split($0, entry, /[{]"ID":/)
      for (i = 2; i <= count; i++) {
        id = entry[i]; sub(/[^0-9].*/, "", id); at = "-"
        if (match(entry[i], /,"clientURLs":\["https:[/][/][]A-Za-z0-9.:[_-]+"/)) at = substr(entry[i], RSTART + 16, RLENGTH - 17)
        if (first == "" && id != own) first = at
        if (found && after == "") after = at
        if (id == own) found = 1
      } }
    END { if (after == "") after = first; if (found && after != "" && after != "-") print after }'
}
# Alone it tries one. Set before, then: beside seconds
[ -z "${beside:-}" ] || across "$beside" "$seconds"
