"""The slots of this machine with devices, and who has been given which."""

from __future__ import annotations

import os
from collections.abc import Collection, Hashable, Mapping, Sequence
from functools import cached_property

from xpm_alchem.devices.asked import Asked
from xpm_alchem.devices.claims import Claim, claim_free
from xpm_alchem.devices.found import Found, find_devices
from xpm_alchem.devices.slots import Slot, slots_of


class MachineSlots:
    """Gives slots to those who are about to start a process.

    Parameters
    ----------
    asked
        Which devices are to be used.
    number
        How many slots; None: as many as devices and `tasks_per_gpu` make.
    tasks_per_gpu
        How many slots share a device.
    cores
        Those to be shared out; empty: every slot may use all.
    where
        Who asks, for messages.
    environment
        In which the devices are looked for; None: this process's.
    """

    def __init__(
        self,
        asked: Asked,
        *,
        number: int | None = None,
        tasks_per_gpu: int = 1,
        cores: Sequence[int] = (),
        where: str,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._asked, self._number, self._tasks_per_gpu = asked, number, tasks_per_gpu
        self._cores, self._where = cores, where
        self._environment = os.environ if environment is None else environment
        self._taken: dict[Hashable, tuple[Slot, Claim]] = {}

    @cached_property
    def found(self) -> Found:
        """What was found on this machine, looked for once."""
        return find_devices(self._environment)

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        """All slots.

        Raises
        ------
        CampaignError
            The devices are not here, or do not divide by the slots.
        """
        return slots_of(
            self._asked.chosen(self.found, self._where),
            number=self._number,
            tasks_per_gpu=self._tasks_per_gpu,
            cores=self._cores,
            where=self._where,
            is_proved=self.found.is_proved,
        )

    def take(self, who: Hashable, scope: str, avoided: Collection[str] = ()) -> bool:
        """Take a slot whose devices nobody uses; return False if there is none.

        Parameters
        ----------
        who
            For what; it keeps what it has.
        scope
            See `claims.claim`.
        avoided
            Identities of devices that are taken only if all are among them.
        """
        if who in self._taken:
            return True
        if (taken := claim_free(self.slots, scope, avoided=avoided)) is None:
            return False
        self._taken[who] = taken
        return True

    def is_full(self, scope: str) -> bool:
        """Whether no slot is free, whatever is avoided."""
        if (free := claim_free(self.slots, scope)) is None:
            return True
        free[1].close()
        return False

    def hand_on(self, who: Hashable) -> tuple[Slot, Claim] | None:
        """Return what was taken, for the process that is started now; close the claim afterwards."""
        return self._taken.pop(who, None)

    def release(self, who: Hashable) -> None:
        """Give back what was taken for a process that was not started."""
        if (taken := self.hand_on(who)) is not None:
            taken[1].close()
