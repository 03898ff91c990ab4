"""What is promised about releases."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etcd_steward import advisories, digests, versions
from etcd_steward.versions import Version, hops, judge_target, parse

MARCH = {"CVE-2026-33413", "CVE-2026-33343"}
NUMBER = st.integers(min_value=0, max_value=999)


@given(NUMBER, NUMBER, NUMBER)
def test_a_version_is_read_back_as_it_was_written(major, minor, patch):
    version = Version(major, minor, patch)
    assert parse(str(version)) == version
    assert parse(f"v{version}") == version


@pytest.mark.parametrize(
    "value", [3.6, 3, "3.5", "3.5.x", "3.5.1-rc.0", "3.5.01", "", None, True, "3.5.1\n3", "\uff13.5.1"]
)
def test_anything_but_a_full_version_is_refused(value):
    with pytest.raises(ValueError, match="wanted a full version such as 3"):
        parse(value)


def test_a_version_that_became_a_float_is_answered_with_the_newest_of_its_line():
    with pytest.raises(
        ValueError, match=rf"^found 3\.6, wanted a full version such as {versions.NEWEST['3.6']}$"
    ):
        parse(3.6)


def test_versions_are_ordered_by_number_and_not_by_text():
    assert parse("3.5.9") < parse("3.5.10") < parse("3.10.0")


def test_nothing_that_another_release_of_its_line_cures_speaks_against_the_default():
    assert [one for one in judge_target(versions.DEFAULT) if one.cure or one.refuse] == []


def test_the_default_is_the_newest_3_6_whose_archives_can_be_checked_on_both_main_architectures():
    line = [parse(text) for text in digests.carried() if text.startswith("3.6.")]
    assert (
        max(version for version in line if digests.carries(str(version), "amd64", "arm64"))
        == versions.DEFAULT
    )
    assert all(digests.carries(str(versions.DEFAULT), arch) for arch in digests.MAIN_ARCHES)


def test_a_release_whose_digest_is_carried_for_one_architecture_alone_is_none_for_both(monkeypatch):
    table = {"3.6.20": {"amd64": "0" * 64, "arm64": "1" * 64}, "3.6.21": {"amd64": "2" * 64}}
    monkeypatch.setattr(digests, "carried", lambda: table)
    assert str(versions.newest_carried("3.6")) == "3.6.20"
    assert str(versions.newest_carried("3.6", ["amd64"])) == "3.6.21"
    assert versions.newest_carried("3.7") is None


def test_every_release_that_is_carried_is_of_a_known_line_and_not_newer_than_the_newest():
    for text in digests.carried():
        version = parse(text)
        assert version <= versions.NEWEST[version.minor_line], text


def test_every_floor_has_a_source_and_is_of_its_own_line():
    assert versions.UPGRADE_FLOOR.keys() == versions.FLOOR_SOURCE.keys()
    for line, floor in versions.UPGRADE_FLOOR.items():
        assert floor.minor_line == line
        assert versions.FLOOR_SOURCE[line].startswith("https://etcd.io/docs/")


@pytest.mark.parametrize(
    ("current", "target", "arches", "path"),
    [
        ("3.5.16", "3.6.14", ["amd64"], ["3.5.33", "3.6.14"]),
        ("3.4.23", "3.7.1", ["amd64", "arm64"], ["3.5.33", "3.6.14", "3.7.1"]),
        ("3.6.10", "3.7.1", ["arm64"], ["3.6.14", "3.7.1"]),
    ],
)
def test_a_release_on_the_way_is_one_whose_digest_is_carried_where_that_is_required(
    current, target, arches, path
):
    among = versions.carried(arches)
    assert [str(step.to) for step in hops(parse(current), parse(target), among)] == path


def test_there_is_no_way_where_no_release_of_a_line_between_has_a_digest():
    with pytest.raises(
        ValueError, match=r"^found no release of etcd 3\.5 for the way, wanted 3\.5\.32 or later"
    ):
        hops(parse("3.4.23"), parse("3.6.14"), versions.carried(["arm"]))


def test_what_is_known_against_the_newest_of_a_maintained_line_has_no_cure_in_that_line():
    for line in versions.MAINTAINED:
        advice = judge_target(versions.NEWEST[line])
        assert not [one for one in advice if one.cure or one.refuse]
        assert {one.source for one in advice} == ({"etcd#18667"} if line < "3.7" else set())


@pytest.mark.parametrize("patch", [0, 1, 2])
def test_f27_releases_that_lose_consistency_are_refused_unless_forced(patch):
    (refusal,) = [advice for advice in judge_target(Version(3, 5, patch)) if advice.refuse]
    assert (refusal.source, refusal.always) == ("etcd#13766", False)


@pytest.mark.parametrize("text", ["3.5.3", "3.5.5", "3.4.21"])
def test_releases_that_harm_data_while_defragmenting_are_advised_against(text):
    advice = judge_target(parse(text))
    assert "etcd#14685" in [item.source for item in advice]
    assert not any(item.refuse for item in advice)


@pytest.mark.parametrize("text", ["3.3.25", "2.3.8", "3.8.0", "4.0.0"])
def test_lines_whose_configuration_is_unknown_are_refused_even_when_forced(text):
    assert [(advice.refuse, advice.always) for advice in judge_target(parse(text))] == [(True, True)]


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("3.4.43", {"CVE-2026-44283", "CVE-2026-59818", "CVE-2026-73499", "CVE-2026-73500"}),
        ("3.5.27", {*MARCH, "CVE-2026-44283", "CVE-2026-59818", "CVE-2026-73499", "CVE-2026-73500"}),
        ("3.5.32", {"CVE-2026-73499", "CVE-2026-73500"}),
        ("3.6.8", {*MARCH, "CVE-2026-44283", "CVE-2026-59818", "CVE-2026-73499", "CVE-2026-73500"}),
        ("3.6.9", {"CVE-2026-44283", "CVE-2026-59818", "CVE-2026-73499", "CVE-2026-73500"}),
        ("3.6.12", {"CVE-2026-59818", "CVE-2026-73499", "CVE-2026-73500"}),
        ("3.6.13", {"CVE-2026-73499", "CVE-2026-73500"}),
        ("3.7.0", {"CVE-2026-73499", "CVE-2026-73500"}),
        ("3.7.1", set()),
    ],
)
def test_f44_missing_security_fixes_are_named(text, missing):
    advice = judge_target(parse(text))
    assert {item.source for item in advice if item.source.startswith("CVE")} == missing
    assert not any(item.refuse for item in advice)


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("3.5.16", {"etcd#18799", "etcd#20650", "etcd#21417", "etcd#18667"}),
        ("3.5.17", {"etcd#20650", "etcd#21417", "etcd#18667"}),
        ("3.4.41", {"etcd#21417", "etcd#18667"}),
        ("3.4.42", {"etcd#18667"}),
        ("3.6.8", {"etcd#21417", "etcd#18667"}),
        ("3.6.16", {"etcd#18667"}),
        ("3.7.0", set()),
    ],
)
def test_faults_of_the_data_are_named_with_the_release_that_mends_them(text, faults):
    found = [one for one in advisories.against(parse(text)) if one.kind == "data"]
    assert {one.id for one in found} == faults
    for one in found:
        cure = one.cure(parse(text))
        assert cure is None or not one.has(parse(cure))


def test_every_advisory_has_a_source_and_ends_at_a_release_of_its_own_line():
    ids = [name for one in advisories.advisories() for name in (one.id, *one.aliases)]
    assert len(ids) == len(set(ids))
    for one in advisories.advisories():
        assert one.source.startswith("https://github.com/etcd-io/etcd/")
        assert (one.kind == "security") == one.id.startswith("CVE-")
        for line, (first, fixed) in one.lines.items():
            assert line in versions.NEWEST
            assert fixed is None or first < fixed <= versions.NEWEST[line].patch


def test_the_end_of_3_4_is_told():
    assert any("3.4 gets no more fixes" in advice.text for advice in judge_target(parse("3.4.44")))


@pytest.mark.parametrize(
    ("text", "arch", "value"),
    [
        ("3.4.23", "amd64", None),
        ("3.4.23", "arm64", "arm64"),
        ("3.5.0", "arm64", None),
        ("3.7.1", "arm", "arm"),
        ("3.4.23", "s390x", "s390x"),
        ("3.5.33", "s390x", None),
    ],
)
def test_the_unsupported_architecture_is_declared_only_where_etcd_asks_for_it(text, arch, value):
    assert versions.unsupported_arch(parse(text), arch) == value


def test_etcdutl_came_with_3_5():
    assert [versions.has_etcdutl(parse(text)) for text in ("3.4.44", "3.5.0", "3.7.1")] == [False, True, True]


def test_machines_are_named_as_release_archives_name_them():
    assert [versions.release_arch(name) for name in ("x86_64", "aarch64\n", "armv7l")] == [
        "amd64",
        "arm64",
        "arm",
    ]


def test_a_machine_without_a_release_is_refused_by_name():
    with pytest.raises(ValueError, match=r"^found riscv64, wanted one of x86_64, "):
        versions.release_arch("riscv64")


@pytest.mark.parametrize(
    ("current", "target", "path"),
    [
        ("3.5.33", "3.5.33", []),
        ("3.5.16", "3.5.30", ["3.5.30"]),
        ("3.5.30", "3.5.16", ["3.5.16"]),
        ("3.4.23", "3.5.30", ["3.5.30"]),
        ("3.5.16", "3.6.14", ["NEWEST", "3.6.14"]),
        ("3.5.32", "3.6.14", ["3.6.14"]),
        ("3.6.10", "3.7.1", ["NEWEST", "3.7.1"]),
        ("3.4.23", "3.7.1", ["NEWEST", "NEWEST", "3.7.1"]),
        ("3.6.14", "3.5.33", ["3.5.33"]),
        ("3.7.1", "3.5.33", ["NEWEST", "3.5.33"]),
    ],
)
def test_f34_an_upgrade_goes_one_minor_version_at_a_time(current, target, path):
    steps = hops(parse(current), parse(target))
    wanted = [
        versions.NEWEST[step.to.minor_line] if name == "NEWEST" else parse(name)
        for step, name in zip(steps, path, strict=True)
    ]
    assert [step.to for step in steps] == wanted
    assert all(step.why for step in steps)


@pytest.mark.parametrize(
    ("current", "target"), [("3.5.33", "3.4.44"), ("3.7.1", "3.4.44"), ("3.6.0", "4.0.0")]
)
def test_a_way_that_etcd_does_not_have_is_refused(current, target):
    with pytest.raises(ValueError, match=rf"^found etcd {current}, wanted {target}"):
        hops(parse(current), parse(target))


@given(st.integers(4, 7), st.integers(0, 40), st.integers(4, 7), st.integers(0, 40))
def test_every_path_ends_at_its_target_without_skipping_a_minor_version(
    minor, patch, target_minor, target_patch
):
    current, target = Version(3, minor, patch), Version(3, target_minor, target_patch)
    try:
        steps = [current, *(step.to for step in hops(current, target))]
    except ValueError:
        assert target_minor < minor
        return
    assert steps[-1] == target
    assert all(abs(after.minor - before.minor) <= 1 for before, after in itertools.pairwise(steps))
