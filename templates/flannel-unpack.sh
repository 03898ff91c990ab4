# Unpacks an uploaded archive of flannel beside its other releases and names it by its version in one step. Needs matches.sh.
# Set before: staging file sha256 prefix version
rm -rf ./unpack.*
new=$(mktemp -d "$staging/unpack.XXXXXX")
tar -xzf "$file" -C "$new" --no-same-owner 2>/dev/null || tar -xzof "$file" -C "$new"
chown -R root:root "$new"
chmod -R go-w,a+rX "$new"
if ! [ -x "$new/flanneld" ] || ! "$new/flanneld" --version >/dev/null 2>"$new/.error"; then
  echo "found a flanneld $version that does not run on this host: $(head -n 1 "$new/.error" 2>/dev/null)" >&2
  echo "wanted one that does; next: look at the archive and at the host's architecture" >&2
  exit 1
fi
echo "$sha256" >"$new/.archive-sha256"
if command -v restorecon >/dev/null 2>&1; then restorecon -RF "$new" || true; fi
if [ -e "$prefix/$version" ]; then mv "$prefix/$version" "$prefix/$version.$(date -u +%Y%m%dT%H%M%SZ)-$$"; fi
sync
mv "$new" "$prefix/$version"
rm -f "$file" "$prefix/$version/.error"
