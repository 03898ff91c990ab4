# Checks an uploaded archive of flannel, unpacks it beside the other releases and names it by its version in one step.
# Set before: staging archive sha256 dir version
set -e
umask 022
cd "$staging"
rm -rf ./unpack.*
found=$(sha256sum <"$archive")
found=${found%% *}
if [ "$found" != "$sha256" ]; then
  mv "$archive" "$archive.bad"
  echo "found an archive with SHA-256 $found, wanted $sha256; next: look at $staging/$archive.bad, then run again" >&2
  exit 1
fi
new=$(mktemp -d "$staging/unpack.XXXXXX")
tar -xzf "$archive" -C "$new" --no-same-owner 2>/dev/null || tar -xzof "$archive" -C "$new"
chown -R root:root "$new"
chmod -R go-w,a+rX "$new"
if ! [ -x "$new/flanneld" ] || ! "$new/flanneld" --version >/dev/null 2>"$new/.error"; then
  echo "found a flanneld $version that does not run on this host: $(head -n 1 "$new/.error" 2>/dev/null)" >&2
  echo "wanted one that does; next: look at the archive and at the host's architecture" >&2
  exit 1
fi
echo "$sha256" >"$new/.archive-sha256"
if command -v restorecon >/dev/null 2>&1; then restorecon -RF "$new" || true; fi
if [ -e "$dir/$version" ]; then mv "$dir/$version" "$dir/$version.$(date -u +%Y%m%dT%H%M%SZ)-$$"; fi
sync
mv "$new" "$dir/$version"
rm -f "$archive" "$dir/$version/.error"
