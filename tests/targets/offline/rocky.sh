#!/bin/sh
# Gives Debian's userland the parts of Rocky Linux 9 that a deploy can see: names, rpm, dnf with an archive, wheel, paths.
set -eu
rm -f /etc/debian_version /etc/os-release /usr/lib/os-release
cat >/usr/lib/os-release <<'END'
NAME="Rocky Linux"
VERSION="9.6 (Blue Onyx)"
ID="rocky"
ID_LIKE="rhel centos fedora"
VERSION_ID="9.6"
PLATFORM_ID="platform:el9"
PRETTY_NAME="Rocky Linux 9.6 (Blue Onyx)"
CPE_NAME="cpe:/o:rocky:rocky:9::baseos"
END
ln -s ../usr/lib/os-release /etc/os-release
echo 'Rocky Linux release 9.6 (Blue Onyx)' >/etc/rocky-release
ln -s rocky-release /etc/redhat-release
groupadd -r wheel
sed -i 's|^Defaults.*secure_path=.*|Defaults secure_path="/sbin:/bin:/usr/sbin:/usr/bin"|' /etc/sudoers  # no /usr/local
mkdir -p /etc/pki/ca-trust/source/anchors /etc/pki/tls/certs /etc/yum.repos.d /etc/dnf/vars /etc/rpm
ln -s /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt
printf '#!/bin/sh\nexit 0\n' >/usr/bin/update-ca-trust
chmod 0755 /usr/bin/update-ca-trust

echo '%_dbpath /var/lib/rpm' >/etc/rpm/macros.dbpath  # Debian's rpm keeps its database in the home folder
echo 9 >/etc/dnf/vars/releasever
rpm --initdb
cd /opt/archive
cat >chrony.spec <<'END'
Name: chrony
Version: 4.6
Release: 1.el9
Summary: stand-in for chrony
License: MIT
BuildArch: noarch
AutoReqProv: no
%description
Stand-in for chrony.
%install
install -D -m 0755 /opt/archive/chronyd %{buildroot}/usr/sbin/chronyd
install -D -m 0644 /opt/archive/chronyd.service %{buildroot}/usr/lib/systemd/system/chronyd.service
install -D -m 0644 /opt/archive/chrony.conf %{buildroot}/etc/chrony.conf
%files
/usr/sbin/chronyd
/usr/lib/systemd/system/chronyd.service
/etc/chrony.conf
END
rpmbuild -bb --quiet --define '_topdir /tmp/rpmbuild' --define '_rpmdir /opt/archive/rpms' chrony.spec
createrepo_c -q /opt/archive/rpms
rm -rf /tmp/rpmbuild
printf '[archive]\nname=stand-in archive\nbaseurl=file:///opt/archive/rpms\nenabled=1\ngpgcheck=0\n' >/etc/yum.repos.d/archive.repo
dnf -q makecache

rm -rf /usr/bin/apt* /usr/bin/dpkg* /etc/apt /var/lib/apt /var/cache/apt /var/lib/dpkg
