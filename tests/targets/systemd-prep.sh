#!/bin/sh
# Makes a container's systemd boot to "running": no hardware units, an empty machine id, sshd, the account "deploy".
set -eu
: >/etc/machine-id
for unit in console-getty.service getty@.service getty.target systemd-logind.service systemd-udevd.service \
    systemd-udevd-control.socket systemd-udevd-kernel.socket systemd-udev-trigger.service systemd-resolved.service \
    systemd-networkd-wait-online.service NetworkManager-wait-online.service systemd-timesyncd.service \
    apt-daily.timer apt-daily-upgrade.timer dnf-makecache.timer e2scrub_all.timer fstrim.timer motd-news.timer \
    sys-kernel-config.mount sys-kernel-debug.mount sys-kernel-tracing.mount sys-fs-fuse-connections.mount \
    dev-hugepages.mount dev-mqueue.mount systemd-firstboot.service; do
    ln -sf /dev/null "/etc/systemd/system/$unit"
done
ln -sf /lib/systemd/system/multi-user.target /etc/systemd/system/default.target

# A container may not set the clock, so a time service would not start: chronyd gets -x (run, but leave the clock).
for unit in chrony chronyd; do
    mkdir -p "/etc/systemd/system/$unit.service.d"
    printf '%s\n' '[Unit]' 'ConditionCapability=' '[Service]' 'Type=simple' 'PIDFile=' \
        'ExecStart=' 'ExecStart=!/usr/sbin/chronyd -n -x' >"/etc/systemd/system/$unit.service.d/container.conf"
done

useradd --create-home --shell /bin/bash deploy
install -d -m 0700 -o deploy -g deploy ~deploy/.ssh
install -m 0600 -o deploy -g deploy /tmp/authorized_keys ~deploy/.ssh/authorized_keys
echo 'deploy ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/deploy
chmod 0440 /etc/sudoers.d/deploy

rm -f /etc/ssh/ssh_host_*
install -m 0600 /tmp/ssh_host_ed25519_key /etc/ssh/ssh_host_ed25519_key
rm -f /run/nologin /tmp/authorized_keys /tmp/ssh_host_ed25519_key
for unit in ssh sshd; do
    [ ! -e "/lib/systemd/system/$unit.service" ] || systemctl enable "$unit.service"
done
