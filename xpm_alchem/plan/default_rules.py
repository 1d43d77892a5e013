"""Failures that are known to pass, and how often they are restarted where no pattern of the user's matches. Pure.

The wordings are those of CUDA and OpenMM (cuda.h's CUresult, openmmtools' SimulationNaNError), OpenCL, Linux's errno(3)
on NFS and Lustre, FlexNet and OpenEye licences, and the dynamic linker.
"""

from __future__ import annotations

import re
from functools import cached_property

import attrs


@attrs.frozen(slots=False)
class Rule:
    """One kind of failure.

    Attributes
    ----------
    name
        As in `default_restarts:` of campaign.yaml.
    pattern
        Regular expression, searched like a restart pattern.
    allowed
        Restarts of one task.
    meaning
        What the failure is, and why it is tried again.
    needs_success
        Whether it is tried again only if a repeat of the transformation has succeeded: otherwise it is taken to be
        reproducible.
    """

    name: str
    pattern: str
    allowed: int
    meaning: str
    needs_success: bool = False

    @cached_property
    def expression(self) -> re.Pattern[str]:
        """The compiled pattern."""
        return re.compile(self.pattern)


_PASSING_CUDA = (
    "DEVICE_UNAVAILABLE|NO_DEVICE|DEVICES_UNAVAILABLE|ECC_UNCORRECTABLE|LAUNCH_FAILED|LAUNCH_TIMEOUT|HARDWARE_STACK_ERROR|"
    "SYSTEM_NOT_READY|SYSTEM_DRIVER_MISMATCH|NVLINK_UNCORRECTABLE|MPS_\\w+|CONTEXT_IS_DESTROYED|DEVICE_LOST|UNKNOWN|"
    "OUT_OF_MEMORY|NOT_INITIALIZED"
)
RULES = (
    Rule(
        "gpu",
        rf"CUDA_ERROR_(?:{_PASSING_CUDA})|(?i:CUDA-capable devices? (?:is|are) (?:busy|detected|unavailable)"
        r"|no CUDA-capable device|no compatible (?:CUDA|OpenCL|HIP) (?:device|platform)"
        r"|GPU (?:has fallen off the bus|is lost)|NVML: .*(?:GPU is lost|Unknown Error))"
        r"|CL_(?:OUT_OF_RESOURCES|DEVICE_NOT_AVAILABLE|OUT_OF_HOST_MEMORY)|hipError(?:NoDevice|LaunchFailure|Unknown)",
        3,
        "a GPU was busy, lost, or in trouble: another try, on another node where the launcher can choose one",
    ),
    Rule(
        "file-system",
        r"\[Errno (?:5|11|35|37|107|108|110|112|116|121)\]|Stale (?:NFS )?file handle|Input/output error"
        r"|Remote I/O error|Transport endpoint|Connection timed out|NetCDF: (?:HDF error|Can't open HDF5)"
        r"|[Uu]nable to (?:a?synchronously )?(?:lock|open) file \(",
        3,
        "a file system timed out, or a file was locked for a moment",
    ),
    Rule(
        "licence",
        r"(?i)(?:unable|failed|could not|cannot) (?:to )?(?:check ?out|obtain|acquire|reach|contact|connect to)\b"
        r".{0,60}licen[cs]e|licen[cs]e server (?:\w+ ){0,3}(?:down|unavailable|unreachable|not responding|busy)"
        r"|FlexNet Licensing error"
        r"|all licen[cs]es are (?:in use|taken)|maximum number of (?:users|licen[cs]es)",
        5,
        "no licence was free, or its server did not answer",
    ),
    Rule(
        "node",
        r"Bus error|signal 7\b|cannot open shared object file|\[Errno 12\]|Cannot allocate memory"
        r"|[Rr]esource temporarily unavailable|CUDA_ERROR_(?:UNSUPPORTED_PTX_VERSION|COMPAT_NOT_SUPPORTED_ON_DEVICE)"
        r"|CUDA driver version is insufficient|Name or service not known|Temporary failure in name resolution",
        2,
        "the node lacked something that others have: memory, a library, a driver, the network",
    ),
    Rule(
        "nan",
        r"(?i)\bSimulationNaNError\b|particle (?:coordinate|position)s? (?:is|are) nan|energy (?:is|was|became) nan"
        r"|resulted in an? nan|\bnans? (?:detected|found|encountered|in )|(?:is|are|became|be) nan\b",
        3,
        "the simulation blew up (NaN) although another repeat of the transformation has succeeded",
        needs_success=True,
    ),
)
RULE_NAMES = tuple(rule.name for rule in RULES)
