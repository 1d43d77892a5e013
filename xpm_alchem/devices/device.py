"""One device that computes: a GPU, or a slice of one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from xpm_alchem.base.values import text

NVIDIA, AMD, INTEL = "nvidia", "amd", "intel"
PLATFORMS = {NVIDIA: ("CUDA",), AMD: ("HIP", "OpenCL"), INTEL: ("OpenCL",)}  # OpenMM's by vendor, the best first


@attrs.frozen
class Device:
    """A device of this machine.

    Attributes
    ----------
    name
        What the vendor's variables call it here: an index, or an identity such as ``GPU-...`` or ``MIG-...``.
    vendor
        'nvidia', 'amd' or 'intel'.
    index
        Its number on this machine as the vendor's tool counts, '' where that is not known, or it is a slice.
    uuid
        Its own identity, '' where nothing tells it: an index may name another device in another job.
    model
        What it is sold as, '' where nothing tells it.
    """

    name: str
    vendor: str = NVIDIA
    index: str = ""
    uuid: str = ""
    model: str = ""

    @property
    def id(self) -> str:
        """What tells it from the others of its machine, as well as is known."""
        return self.uuid or self.index or self.name

    def __str__(self) -> str:
        shown = self.index or self.name
        return f"{'GPU ' if shown.isdigit() else ''}{shown}{f' ({self.model})' if self.model else ''}"

    def to_record(self) -> dict[str, str]:
        """Return it as a part of a JSON record, without what is not known."""
        return {key: value for key, value in attrs.asdict(self).items() if value}

    @classmethod
    def from_record(cls, record: Any) -> Device:
        """Return what `to_record` has written; of what cannot be used, nothing."""
        known = record if isinstance(record, Mapping) else {}
        return cls(*(text(known.get(field.name)) for field in attrs.fields(cls)))
