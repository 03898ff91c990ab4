# Unpacks an uploaded release beside the other ones and names it by its version in one step. Needs matches.sh.
# Set before: staging file sha256 prefix version arch
rm -rf ./unpack.*
new=$(mktemp -d "$staging/unpack.XXXXXX")
tar -xzf "$file" -C "$new" --no-same-owner 2>/dev/null || tar -xzof "$file" -C "$new"
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
rm -f "$file" "$new/error"
rmdir "$new"
