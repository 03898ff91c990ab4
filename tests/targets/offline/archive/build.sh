#!/bin/sh
# Makes Alpine's own package archive at /opt/archive: real .apk files made and indexed by the real apk.
set -eu
cd /opt/archive
package() { # package NAME VERSION FOLDER
    apk mkpkg --info "name:$1" --info "version:$2" --info "arch:$(apk --print-arch)" --info license:MIT \
        --sign-key /tmp/archive.rsa --info "origin:$1" --info "description:stand-in for $1" --files "$3" -o "$(apk --print-arch)/$1-$2.apk"
}
mkdir -p "$(apk --print-arch)" chrony/usr/sbin chrony/etc/init.d chrony/etc/chrony
install -m 0755 chronyd chrony/usr/sbin/chronyd
install -m 0755 chronyd.initd chrony/etc/init.d/chronyd
install -m 0644 chrony.conf chrony/etc/chrony/chrony.conf
package chrony 4.8-r0 chrony
apk mkndx --sign-key /tmp/archive.rsa -o "$(apk --print-arch)/APKINDEX.tar.gz" "$(apk --print-arch)"/*.apk
echo /opt/archive >/etc/apk/repositories
