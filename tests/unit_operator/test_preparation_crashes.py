"""A preparation that runs share ends right though the operator is killed after any of its writes."""

from __future__ import annotations

import pytest

from unit_operator.model_cluster import Commons
from unit_operator.team import Team
from vistrain_api import protocol
from vistrain_operator import objects


class Sharing(Team):
    """A team whose runs may not be checked, let alone train, before their data are whole."""

    suspended = ""
    """The run that was suspended."""

    def step(self, seconds: float = 1.0) -> None:
        super().step(seconds)
        for cluster in self.clusters.values():
            assert self.commons.whole or not cluster.jobs


def undisturbed(team: Sharing) -> None:
    return


def maker_deleted(team: Sharing) -> None:
    if team.commons.preparations_made == 1 and team.pod():
        team.delete(team.maker())


def evicted(team: Sharing) -> None:
    pod = team.pod()
    if team.commons.preparations_made == 1 and pod is not None:
        team.commons.evict(objects.uid(pod))


def faulty(team: Sharing) -> None:
    pod = team.pod()
    if team.commons.preparations_made == 1 and pod is not None:
        team.commons.fault(objects.uid(pod), protocol.ExitCode.STORAGE_FAULT)


def deleted(team: Sharing) -> None:
    if team.commons.preparations_made == 1 and team.pod():
        team.commons.delete_job(objects.name(team.job()), "Background")


def maker_suspended(team: Sharing) -> None:
    if team.pod() and not team.suspended:
        team.suspended = team.maker()
        team.clusters[team.suspended].suspend(True)


STORIES = {
    "nothing": (undisturbed, 1),
    "the maker is deleted": (maker_deleted, 2),
    "the maker is suspended": (maker_suspended, 1),
    "evicted": (evicted, 2),
    "a fault": (faulty, 2),
    "its Job is deleted": (deleted, 2),
}
"""What happens, and the pods that it takes."""


def play(name: str, kill_after: int | None) -> Sharing:
    what, pods = STORIES[name]
    team = Sharing("a", "b", kill_after=kill_after)
    slow = iter(range(6))  # a preparation takes a few seconds, in which things happen
    check = Commons._check.__get__(team.commons)
    team.commons._check = lambda uid, pod: (  # type: ignore[method-assign]
        check(uid, pod) if objects.deletion(pod) is not None or next(slow, None) is None else None
    )
    team.also = lambda: what(team)
    team.until("the others", lambda: all(started(team, r) for r in "ab" if r != team.suspended))
    if team.suspended:
        assert team.status(team.suspended)["phase"] == "Suspended"
        team.clusters[team.suspended].suspend(False)
        team.until("the first attempts", lambda: all(started(team, r) for r in "ab"))
    for run in (name for name, cluster in team.clusters.items() if cluster.run is not None):
        assert team.status(run)["failures"] == team.status(run)["disruptions"] == 0
        assert team.record(run)["failures"] <= (name == "a fault")
        assert len(team.told(run, "Prepared")) == 1
        assert team.clusters[run].preflights_made == 1
    assert team.commons.preparations_made == pods
    return team


def started(team: Team, name: str) -> bool:
    """Whether a run's first attempt is made, or the run gone."""
    return team.clusters[name].run is None or team.status(name).get("attempt", 0) == 1


@pytest.mark.parametrize("name", STORIES)
def test_it_ends_right_though_the_operator_is_killed_after_any_write(name: str) -> None:
    writes = play(name, None).writes
    assert writes > 12
    for kill_after in range(1, writes + 1):
        play(name, kill_after)
