"""Why a job waits in SLURM's queue, and why one has ended: SLURM's words in plain ones."""

from __future__ import annotations

import os
import pwd
import re

import attrs


@attrs.frozen
class Reason:
    """What squeue gives as the reason of a job that waits.

    Attributes
    ----------
    word
        SLURM's own; '' for none.
    words
        What it means, and what to do where it is the user who must.
    is_lasting
        Whether it never passes by itself.
    """

    word: str
    words: str
    is_lasting: bool = False


_LASTING = (  # what matches first counts
    (r"PartitionTimeLimit", "it asks for more time than its partition allows; give a shorter `time`"),
    (r"PartitionNodeLimit", "it asks for more or fewer nodes than its partition allows"),
    (r"BadConstraints", "no node can ever give what it asks for; change `constraint`, `gpus`, `mem` or `cpus`"),
    (r"DependencyNeverSatisfied", "it depends on a job that has failed; look at the options under `sbatch`"),
    (r"AccountNotAllowed|InvalidAccount", "its account may not be used there; change `account`"),
    (r"QOSNotAllowed|InvalidQOS", "its QOS may not be used there; change `qos`"),
    (r"JobHeldUser", "it was held by a user; `scontrol release` lets it go"),
    (r"JobHeldAdmin", "it was held by an administrator; ask why"),
    (r"JobHoldMaxRequeue|MaxRequeue", "it was requeued too often and is held; `scontrol release` lets it go"),
    (r"launch failed|held", "SLURM could not start it and holds it"),
    (r"ReservationDeleted", "its reservation is gone; change `reservation`"),
    (r"(QOS|Assoc)\w*(PerJob|WallDuration|MaxWall)\w*", "it asks for more than one job may have; ask for less"),
    (r"(QOS|Assoc)Grp\w*Minutes\w*|AssocGrpBilling\w*|\w*RunMinutes\w*", "the allocation is used up"),
    (r"QOSUsageThreshold", "the account is used too much for this QOS"),
    (r"AccountingPolicy", "a policy of the accounts forbids it"),
)
_PASSING = (
    (r"Priority", "jobs of a higher priority come first"),
    (r"Resources", "it is next, when resources are free"),
    (r"(QOS|Assoc)\w*(Submit|Jobs|PerUser|PerAccount|Limit)\w*", "a limit of the site on what runs at once"),
    (r"ReqNodeNotAvail", "nodes that it needs are down or reserved, for a maintenance perhaps"),
    (r"NodeDown|Nodes required for job", "nodes that it needs are down, drained or reserved"),
    (r"PartitionDown|PartitionInactive", "its partition is closed at the moment"),
    (r"PartitionConfig", "its partition does not take such jobs as it is set up now"),
    (r"Reservation", "its reservation has not begun"),
    (r"Licenses", "licenses are in use"),
    (r"Dependency", "it waits for another job"),
    (r"BeginTime", "its time to begin has not come"),
    (r"JobArrayTaskLimit", "others of its array come first"),
    (r"Prolog|Cleaning|BurstBuffer", "SLURM prepares it"),
)


def reason_of(said: str) -> Reason:
    """Return what squeue's reason means; one that nobody knows here is taken to pass."""
    word = said.strip().strip("()")
    if word in ("", "None"):
        return Reason("", "SLURM gives no reason yet")
    for table, is_lasting in ((_LASTING, True), (_PASSING, False)):
        for pattern, words in table:
            if re.match(pattern, word, re.IGNORECASE) or (is_lasting and " " in word and re.search(pattern, word)):
                return Reason(word, words, is_lasting)
    return Reason(word, "SLURM's reason")


_ENDS = {
    "TIMEOUT": "the time that sbatch asked for, `time`, was over",
    "DEADLINE": "the --deadline under `sbatch` was reached",
    "OUT_OF_MEMORY": "it used more memory than sbatch asked for, `mem`",
    "PREEMPTED": "a job of higher priority took its place",
    "NODE_FAIL": "its node failed",
    "BOOT_FAIL": "its node did not start",
    "REVOKED": "another cluster has it",
}


def meaning_of(state: str, by: int | None = None) -> str:
    """Return what has ended a job that SLURM gives a state, and what of sbatch's options had a part in it.

    Parameters
    ----------
    state
        squeue's or sacct's long name; '' is returned for one that says enough.
    by
        The id of the user whose scancel it was, where known.
    """
    if state != "CANCELLED":
        return _ENDS.get(state, "")
    if by is None:
        return "with scancel; SLURM keeps no record of whose"
    if by == os.getuid():
        return "with scancel, by you"
    try:
        return f"with scancel, by {pwd.getpwuid(by).pw_name}"
    except KeyError:
        return f"with scancel, by the user with id {by}"
