#!/bin/sh
# Makes a container's OpenRC boot like a machine's: a PID 1, a default runlevel, sshd, and the account "deploy".
set -eu
sed -i '/getty/d' /etc/inittab
{
    echo 'rc_sys="docker"'
    echo 'rc_provide="loopback net dev"'  # Docker sets the network up; "need net" would start dhcpcd
    echo 'rc_logger="YES"'
} >>/etc/rc.conf
rc-update add syslog boot

adduser -D -s /bin/sh deploy
sed -i 's/^deploy:!/deploy:*/' /etc/shadow  # a locked account is refused even with a key
install -d -m 0700 -o deploy -g deploy ~deploy/.ssh
install -m 0600 -o deploy -g deploy /tmp/authorized_keys ~deploy/.ssh/authorized_keys
echo 'deploy ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/deploy
chmod 0440 /etc/sudoers.d/deploy
if [ -x /usr/bin/doas ]; then
    echo 'permit nopass deploy' >/etc/doas.conf
    chmod 0400 /etc/doas.conf
fi

if [ -x /usr/sbin/sshd ]; then
    install -m 0600 /tmp/ssh_host_ed25519_key /etc/ssh/ssh_host_ed25519_key
    rc-update add sshd default
fi
rm /tmp/authorized_keys /tmp/ssh_host_ed25519_key
