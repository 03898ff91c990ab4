"""What settings and hosts say of storage and addresses, with pyinfra's real engine over pretended hosts."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from etcd_steward.certificates import read_certificate
from etcd_steward.verbs import etcd, renew, status
from tests.engine.common import HOSTS, N1, N2, SLOWER, only_looked
from tests.engine.fakes import World, run_deploy
from tests.engine.living import Living
from tests.engine.test_certificates import LONG_AGO
from tests.engine.test_clients import App
from tests.engine.test_refused_pairs import bring

ON_TMPFS = "storage data 1021994 tmpfs tmpfs -"


@pytest.mark.parametrize("mode", ["", "dry"])
def test_a_new_cluster_on_a_tmpfs_is_refused_before_any_change_with_the_setting_that_consents(fresh, mode):
    for host in fresh.hosts.values():
        host.lines.insert(-1, ON_TMPFS)
    result = run_deploy(fresh.hosts, etcd, mode=mode)
    for host in HOSTS:
        assert f"{host}: found etcd_data_dir /var/lib/etcd on tmpfs" in result.refused
    assert "set etcd_allow_volatile_data = True" in result.refused
    assert only_looked(result)
    assert not fresh.pki.exists()


@pytest.mark.parametrize("verb", [etcd, renew])
def test_a_member_on_a_tmpfs_is_refused_in_every_verb_and_with_the_consent_it_stays_a_note(world, verb):
    world.hosts[N2].lines.insert(-1, ON_TMPFS)
    world.hosts[N1].lines.insert(-1, "storage data 6969 nfs4 nas:/etcd -")
    result = run_deploy(Living(world).hosts, verb, data=SLOWER)
    assert f"{N2}: found etcd_data_dir /var/lib/etcd on tmpfs" in result.refused
    assert N1 not in result.refused
    assert only_looked(result)
    agreed = {"etcd_allow_volatile_data": True}
    for data, mode in ((agreed, ""), (agreed, "dry")):
        result = run_deploy(world.hosts, verb, data=data, mode=mode)
        assert (result.refused, result.failed) == ("", set())
        assert f"{N2}: etcd_data_dir /var/lib/etcd lies on tmpfs, as etcd_allow_volatile_data" in result.log
        assert f"{N1}: etcd_data_dir /var/lib/etcd lies on a share (nfs)" in result.log


def test_status_tells_what_a_power_cut_takes(world):
    world.hosts[N2].lines.insert(-1, ON_TMPFS)
    world.hosts[N1].lines.insert(-1, "storage records 794c7630 overlay overlay 1021994")
    result = run_deploy(world.hosts, status)
    assert N2 in result.failed
    assert "etcd_data_dir /var/lib/etcd on tmpfs" in result.stdout
    assert f"{N1}: /etc/etcd-steward on an overlay on tmpfs" in result.stdout
    result = run_deploy(world.hosts, status, data={"etcd_allow_volatile_data": True})
    assert result.failed == set()
    assert "as etcd_allow_volatile_data allows" in result.stdout


def by_interface(world):
    for host in world.hosts.values():
        del host.data["etcd_address"]
        host.data["etcd_interface"] = "eth0"


def give(host, *told):
    """Let a host tell these addresses, in this order."""
    at = next(number for number, line in enumerate(host.lines) if line.startswith("interface "))
    del host.lines[at]
    host.lines[at:at] = [f"interface eth0 {one}" for one in told]


@pytest.mark.parametrize(
    "others",
    [
        ["198.18.99.200/32 deprecated", "198.18.99.12/24"],
        ["198.18.99.200/32", "198.18.99.12/24"],
        ["198.18.99.200/24 secondary", "198.18.99.12/24"],
        ["198.18.99.12/24", "198.18.99.200/24 secondary", "2001:db8::7/64 temporary"],
    ],
)
def test_a_floating_address_that_comes_to_a_host_moves_no_member(world, others):
    by_interface(world)
    give(world.hosts[N2], *others)
    result = run_deploy(world.hosts, etcd)
    assert (result.refused, result.failed) == ("", set())
    assert only_looked(result)
    assert "198.18.99.200" not in result.log


@pytest.mark.parametrize("mode", ["", "dry"])
def test_a_member_that_is_listed_by_another_address_of_its_host_stays_until_the_operator_says_so(world, mode):
    by_interface(world)
    give(world.hosts[N2], "198.18.99.77/24", "198.18.99.12/24 secondary")
    result = run_deploy(world.hosts, etcd, mode=mode)
    assert (result.refused, result.failed) == ("", set())
    assert only_looked(result)
    assert f"{N2}: its member is known by 198.18.99.12, which is still on this host" in result.log
    world.hosts[N2].data["etcd_address"] = "198.18.99.77"
    result = run_deploy(world.hosts, etcd, mode="dry")
    assert "is still on this host" not in result.log
    assert "https://198.18.99.12:2380) is in the cluster, but not in the inventory" in result.log, "it moves"


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (["198.18.99.77/24", "198.18.99.12/24"], "found 2 addresses on eth0 (198.18.99.77, 198.18.99.12)"),
        (["2001:db8::7/64 temporary"], "found no address on eth0 that lasts (2001:db8::7 temporary)"),
    ],
)
def test_a_new_member_whose_address_nothing_decides_is_asked_for_it(fresh, told, said):
    by_interface(fresh)
    give(fresh.hosts[N2], *told)
    result = run_deploy(fresh.hosts, etcd)
    assert f"{N2}: {said}" in result.refused
    assert "set etcd_address" in result.refused
    assert only_looked(result)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("224.0.0.7", "the address of one host; 224.0.0.7 is a group of hosts (multicast)"),
        ("::", "the address of one host; :: is every address of a host, and none of them"),
        ("127.0.0.1", "found the address 127.0.0.1, which leads each host to itself, beside 2 other members"),
    ],
)
def test_d25_an_address_at_which_nobody_is_reached_is_refused_before_any_change(world, address, said):
    world.hosts[N2].data["etcd_address"] = address
    result = run_deploy(world.hosts, etcd)
    assert N2 in result.refused
    assert said in result.refused
    assert only_looked(result)


def test_d25_a_client_is_given_no_member_that_only_its_own_host_reaches(tmp_path):
    world = World(tmp_path, ("n1",))
    world.hosts[N1].data["etcd_address"] = "127.0.0.1"
    result = App(world).run()
    assert "found the member n1 at 127.0.0.1, which leads each host to itself" in result.log + result.refused
    assert not any(result.stdin.values())


def test_row_28_a_star_makes_the_servers_certificate_anew_and_no_other_and_is_given_to_nobody_as_an_address(
    world,
):
    result = run_deploy(Living(world).hosts, etcd, data={"etcd_extra_names": ["*.etcd.example.org"]})
    assert (result.refused, result.failed) == ("", set())
    written = {
        certificate.names
        for given in result.stdin[N2]
        for text in given.split("-----BEGIN ")
        if (certificate := read_certificate(f"-----BEGIN {text}"))
    }
    assert any("*.etcd.example.org" in names for names in written)
    assert len(written) == 1
    assert not any("*.etcd" in line for line in "\n".join(result.stdin[N2]).splitlines())


RSA_ALONE = {"etcd_config": {"cipher-suites": ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"]}}
OURS_ALONE = {"etcd_config": {"cipher-suites": ["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"]}}


def test_row_20_one_cipher_for_other_keys_is_refused_before_any_change(world):
    result = run_deploy(world.hosts, etcd, data=RSA_ALONE)
    assert "tls: no cipher suite supported by both client and server" in result.refused
    assert not any(result.commands.values())
    result = run_deploy(Living(world).hosts, etcd, data=OURS_ALONE)
    assert (result.refused, result.failed) == ("", set())


def of_rsa(world, member, role, folder):
    """Put a pair with an RSA key in place of a member's ready-made one."""
    signer = world.authorities.for_role(role)
    key = rsa.generate_private_key(65537, 2048)
    leaf = x509.load_pem_x509_certificate((folder / f"{role}.pem").read_bytes())
    made = x509.CertificateBuilder(
        signer.certificate.subject,
        leaf.subject,
        key.public_key(),
        7,
        leaf.not_valid_before_utc,
        leaf.not_valid_after_utc,
    )
    for one in leaf.extensions:
        if not isinstance(one.value, x509.SubjectKeyIdentifier):
            made = made.add_extension(one.value, one.critical)
    signed = made.sign(signer.key, hashes.SHA256())
    (folder / f"{role}.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8
    plain = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    (folder / f"{role}-key.pem").write_bytes(plain)


@pytest.mark.parametrize("role", ["server", "peer"])
def test_row_20_ready_made_pairs_are_judged_by_their_own_keys(tmp_path, role):
    world = World(tmp_path, now=LONG_AGO, etcd_certificates_dir=str(tmp_path / "ready"))
    bring(tmp_path / "ready", world, world.authorities)
    result = run_deploy(Living(world).hosts, etcd, data=RSA_ALONE)
    assert f"and the {role} certificate of n2 has such a key" in result.refused
    assert only_looked(result)
    of_rsa(world, world.cluster.member(N2), role, tmp_path / "ready" / "n2")
    result = run_deploy(Living(world).hosts, etcd, data=OURS_ALONE)
    assert f"{N2}: found etcd_config: cipher-suites has none for a key of RSA" in result.refused
    assert f"and the {role} certificate of n2 has such a key" in result.refused
    assert N1 not in result.refused
