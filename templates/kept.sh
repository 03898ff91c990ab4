# Keeps a copy of files that somebody else wrote, before they are written anew; a second, other one never replaces the first.
# Set before: strangers (such files) candidates (files that are kept where they are not ours) aside (the copies' folder)
keep() { # path content
  copy=$aside$1
  (umask 077 && mkdir -p "${copy%/*}")
  if [ -e "$copy" ]; then
    if cmp -s "$2" "$copy"; then return; fi
    copy=$copy.$(date -u +%Y%m%dT%H%M%SZ)-$$
  fi
  cp -p "$2" "$copy"
  chmod go= "$copy"
}
for file in $strangers; do keep "$file" "$file"; done
for file in $candidates; do
  if [ -f "$file" ] && ! grep -q "ritten by etcd-steward" "$file"; then keep "$file" "$file"; fi
done
