#!/bin/sh
# build-static.sh OPENSSH OPENDOAS OUT: sshd and doas as static musl binaries in the archive OUT.
# Debian's musl has no crypt(): sshd takes keys only (ed25519, without OpenSSL), doas only rules with "nopass".
set -eu
openssh=$1 opendoas=$2 out=$3
root=$openssh/root
echo 'char *crypt(const char *k, const char *s) { return 0; }' >"$openssh/no-crypt.c"
musl-gcc -c -o "$openssh/no-crypt.o" "$openssh/no-crypt.c"

cd "$openssh"
touch aclocal.m4 config.h.in Makefile.in
sleep 1
touch configure
CC=musl-gcc CFLAGS=-Os LDFLAGS=-static ./configure -q --prefix=/usr --sysconfdir=/etc/ssh --libexecdir=/usr/lib/ssh \
    --without-openssl --without-zlib --without-pam --without-zlib-version-check --with-privsep-path=/var/empty \
    --with-privsep-user=sshd --with-pid-dir=/run --disable-utmp --disable-wtmp --disable-lastlog --with-sandbox=no \
    --without-hardening --with-default-path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
make -s -j"$(nproc)" LIBS="$openssh/no-crypt.o" sshd sftp-server ssh-keygen scp
mkdir -p root/usr/sbin root/usr/bin root/usr/lib/ssh root/etc/ssh
install -s sshd root/usr/sbin
install -s ssh-keygen scp root/usr/bin
install -s sftp-server root/usr/lib/ssh

cd "$opendoas"
CC=musl-gcc ./configure --prefix=/usr --sysconfdir=/etc --with-shadow
make -s CC=musl-gcc LDFLAGS=-static LDLIBS="$openssh/no-crypt.o" doas
install -s -m 4755 doas "$root/usr/bin"

tar -C "$root" --owner=0 --group=0 --sort=name -cf "$out" .
