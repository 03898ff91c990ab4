#!/bin/sh
# build-sshd.sh SOURCE OUT: OpenSSH as static musl binaries in OUT/sshd.tar, from Debian's source package.
# Keys only (ed25519): without OpenSSL, zlib and PAM nothing but the C library is needed, and Debian's musl has no crypt().
set -eu
cd "$1"
touch aclocal.m4 config.h.in Makefile.in
sleep 1
touch configure
CC=musl-gcc CFLAGS=-Os LDFLAGS=-static ./configure -q --prefix=/usr --sysconfdir=/etc/ssh --libexecdir=/usr/lib/ssh \
    --without-openssl --without-zlib --without-pam --without-zlib-version-check --with-privsep-path=/var/empty \
    --with-privsep-user=sshd --with-pid-dir=/run --disable-utmp --disable-wtmp --disable-lastlog --with-sandbox=no \
    --without-hardening --with-default-path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
echo 'char *crypt(const char *k, const char *s) { return 0; }' >no-crypt.c
musl-gcc -c no-crypt.c
make -s -j"$(nproc)" LIBS="$PWD/no-crypt.o" sshd sftp-server ssh-keygen scp
mkdir -p root/usr/sbin root/usr/bin root/usr/lib/ssh root/etc/ssh
install -s sshd root/usr/sbin
install -s ssh-keygen scp root/usr/bin
install -s sftp-server root/usr/lib/ssh
tar -C root --owner=0 --group=0 --sort=name -cf "$2/sshd.tar" .
