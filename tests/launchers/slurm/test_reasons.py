"""Why a job waits, in words: what never passes by itself is told from what does."""

from __future__ import annotations

import pytest

from xpm_alchem.launchers.slurm.reasons import reason_of


@pytest.mark.parametrize(
    "said",
    [
        "PartitionTimeLimit",
        "(PartitionTimeLimit)",
        "PartitionNodeLimit",
        "BadConstraints",
        "DependencyNeverSatisfied",
        "AccountNotAllowed",
        "InvalidAccount",
        "InvalidQOS",
        "QOSNotAllowed",
        "JobHeldUser",
        "JobHeldAdmin",
        "JobHoldMaxRequeue",
        "launch failed requeued held",
        "job requeued in held state",
        "ReservationDeleted",
        "QOSMaxWallDurationPerJobLimit",
        "QOSMaxCpuPerJobLimit",
        "AssocMaxWallDurationPerJobLimit",
        "AssocGrpCPUMinutesLimit",
        "QOSGrpGRESMinutes",
    ],
)
def test_what_never_passes_calls_for_the_user(said):
    reason = reason_of(said)
    assert reason.is_lasting and reason.word in said and reason.words


@pytest.mark.parametrize(
    "said",
    [
        "Priority",
        "Resources",
        "(Resources)",
        "QOSMaxJobsPerUserLimit",
        "QOSMaxCpuPerUserLimit",
        "QOSGrpCpuLimit",
        "AssocGrpCpuLimit",
        "AssocMaxJobsLimit",
        "ReqNodeNotAvail, UnavailableNodes:n[1-2]",
        "Nodes required for job are DOWN, DRAINED or reserved for jobs in higher priority partitions",
        "Licenses",
        "BeginTime",
        "Dependency",
        "Reservation",
        "PartitionDown",
        "JobArrayTaskLimit",
        "A reason of 2030",
    ],
)
def test_what_passes_does_not(said):
    reason = reason_of(said)
    assert not reason.is_lasting and reason.words and reason.word == said.strip("()")


@pytest.mark.parametrize("said", ["", "None", "(null)"])
def test_no_reason_is_none(said):
    assert not reason_of(said).is_lasting
