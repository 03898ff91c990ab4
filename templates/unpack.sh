# Unpacks an uploaded release beside the other ones and names it by its version in one step. Needs asked.sh and matches.sh.
# Set before: staging file sha256 prefix version arch
rm -rf ./unpack.*
new=$(mktemp -d "$staging/unpack.XXXXXX")
tar -xzf "$file" -C "$new" --no-same-owner 2>/dev/null || tar -xzof "$file" -C "$new"
set -- "$new"/*
chown -R root:root "$1"
chmod -R go-w,a+rX "$1"
export ETCD_UNSUPPORTED_ARCH="$arch"
runs etcd "$version" "$1/etcd" || exit 1
echo "$sha256" >"$1/.archive-sha256"
if command -v restorecon >/dev/null 2>&1; then restorecon -RF "$1" || true; fi
if [ -e "$prefix/$version" ]; then mv "$prefix/$version" "$prefix/$version.$(date -u +%Y%m%dT%H%M%SZ)-$$"; fi
sync
mv "$1" "$prefix/$version"
rm -f "$file"
rmdir "$new"
