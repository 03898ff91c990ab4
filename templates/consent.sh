# Lets a member start this once without data. The file's folder is etcd's own, so it is made beside that and renamed into it.
# Set before: consent owner
(umask 022 && mkdir -p "${consent%/*}")
chown -h "$owner" "${consent%/*}"
new=$(mktemp "${consent%/*}.XXXXXX")
chown -h "$owner" "$new"
mv -fT "$new" "$consent"
