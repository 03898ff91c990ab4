# Checks an uploaded release archive, unpacks it beside the other releases and names it by its version in one step.
# Set before: staging archive sha256 prefix version arch owner_note
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
set -- "$new"/*
chown -R root:root "$1"
chmod -R go-w,a+rX "$1"
if ! ETCD_UNSUPPORTED_ARCH=$arch "$1/etcd" --version >/dev/null 2>"$new/error"; then
  echo "found an etcd $version that does not run on this host: $(head -n 1 "$new/error")" >&2
  echo "wanted one that does; next: a static build, such as upstream's, or the libraries that it names" >&2
  exit 1
fi
echo "$sha256" >"$1/.archive-sha256"
if command -v restorecon >/dev/null 2>&1; then restorecon -RF "$1" || true; fi
if [ -e "$prefix/$version" ]; then mv "$prefix/$version" "$prefix/$version.$(date -u +%Y%m%dT%H%M%SZ)-$$"; fi
sync
mv "$1" "$prefix/$version"
rm -f "$archive" "$new/error"
rmdir "$new"
