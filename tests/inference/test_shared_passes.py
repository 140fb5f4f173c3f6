"""Passes of processes that share the particles: their sums add up, and each particle's pose is that of one process."""

from dataclasses import replace

import pytest
import torch
from test_local_search import RADIUS, find_cells, refined

from cryorbit.execution import shards
from cryorbit.execution.group import SINGLE_PROCESS, Group
from cryorbit.inference.pose_estimates import PoseEstimates, joined_estimates
from cryorbit.inference.reconstruction import KnownPoses, reconstruct
from cryorbit.inference.statistics import VolumeStatistics
from group_members import Member
from phantom_sets import PhantomSet

MEMBERS = (Member(0, 3), Member(1, 3), Member(2, 3))


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten shards of 20 particles."""
    monkeypatch.setattr(shards, "SMALLEST_SHARD", 20)


def shared(particles: PhantomSet, group: Group) -> PhantomSet:
    return replace(particles, source=replace(particles.source, group=group))


def assert_sums_add_up(parts: list[VolumeStatistics], whole: VolumeStatistics) -> None:
    for name in VolumeStatistics.__slots__:
        *mine, all_of_it = (getattr(each, name) for each in (*parts, whole))
        torch.testing.assert_close(sum(mine), all_of_it, rtol=1e-5, atol=1e-5 * float(all_of_it.abs().max()))


def test_poses_do_not_depend_on_who_refines_them(clear_set: PhantomSet) -> None:
    cells = find_cells(clear_set, clear_set.volumes)
    whole_statistics, whole = refined(clear_set, cells)
    statistics, estimates = zip(*(refined(shared(clear_set, member), cells) for member in MEMBERS), strict=True)
    joined = joined_estimates(estimates)
    for name in PoseEstimates.__slots__:
        assert torch.equal(getattr(joined, name), getattr(whole, name)), name
    assert_sums_add_up(list(statistics), whole_statistics)


def test_sums_over_known_poses_add_up(clear_set: PhantomSet) -> None:
    everything, count = clear_set.everything, len(clear_set.everything)
    known = KnownPoses(clear_set.poses, torch.zeros(count, dtype=torch.long), everything % 2, torch.ones(count))
    whole, *parts = (
        reconstruct(shared(clear_set, group).source, everything, known, clear_set.band(RADIUS), 1)
        for group in (SINGLE_PROCESS, *MEMBERS)
    )
    assert_sums_add_up(parts, whole)
