# Keeps a copy of files that somebody else wrote, before they are written anew for the first time.
# Set before: strangers
for file in $strangers; do
  (umask 077 && mkdir -p /etc/etcd-steward/before)
  if ! [ -e "/etc/etcd-steward/before/${file##*/}" ]; then
    cp -p "$file" "/etc/etcd-steward/before/"
    chmod go= "/etc/etcd-steward/before/${file##*/}"
  fi
done
