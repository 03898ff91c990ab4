# Unpacks an uploaded archive of flannel beside its other releases and names it by its version in one step. Needs asked.sh and matches.sh.
# Set before: staging file sha256 prefix version
rm -rf ./unpack.*
new=$(mktemp -d "$staging/unpack.XXXXXX")
tar -xzf "$file" -C "$new" --no-same-owner 2>/dev/null || tar -xzof "$file" -C "$new"
chown -R root:root "$new"
chmod -R go-w,a+rX "$new"
if ! [ -f "$new/flanneld" ]; then
  echo "found no flanneld in the archive of flannel $version, wanted it there; next: look at what the mirror has" >&2
  exit 1
fi
runs flanneld "$version" "$new/flanneld" || exit 1
echo "$sha256" >"$new/.archive-sha256"
if command -v restorecon >/dev/null 2>&1; then restorecon -RF "$new" || true; fi
if [ -e "$prefix/$version" ]; then mv "$prefix/$version" "$prefix/$version.$(date -u +%Y%m%dT%H%M%SZ)-$$"; fi
sync
mv "$new" "$prefix/$version"
rm -f "$file"
