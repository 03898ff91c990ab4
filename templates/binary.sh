# Puts an uploaded program beside its other releases under the name of its own, in one step. Needs asked.sh and matches.sh.
# Set before: staging file program sha256 prefix version
chown root:root "$program"
chmod 755 "$program"
runs "$program" "$version" "$staging/$program" || exit 1
mkdir -p "$prefix/$version"
dd if=/dev/null of="$program" conv=notrunc,fsync 2>/dev/null
if [ -e "$prefix/$version/$program" ]; then mv "$prefix/$version/$program" "$prefix/$version/$program.$(date -u +%Y%m%dT%H%M%SZ)-$$"; fi
mv "$program" "$prefix/$version/$program"
if command -v restorecon >/dev/null 2>&1; then restorecon -RF "$prefix/$version" || true; fi
# Last, as it says that the program is whole.
echo "$sha256" >"$prefix/$version/.$program-sha256"
