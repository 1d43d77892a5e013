"""What the keys of a SLURM profile may say: a check for each, which returns what sbatch is given."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Callable, Mapping
from typing import Any

from xpm_alchem.base import checks
from xpm_alchem.base.durations import duration
from xpm_alchem.base.errors import CampaignError
from xpm_alchem.base.values import short
from xpm_alchem.launchers.container import Container
from xpm_alchem.launchers.platform import parse_platform
from xpm_alchem.launchers.price import Price
from xpm_alchem.plan.secrets import hidden_value

_MEMORY = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)B?\s*", re.IGNORECASE)
_MEGABYTES = {"K": 1 / 1024, "": 1, "M": 1, "G": 1024, "T": 1024**2}
_OURS = {
    "--array": "-a",
    "--job-name": "-J",
    "--output": "-o",
    "--error": "-e",
    "--wait": "-W",
    "--time": "-t",
    "--requeue": None,
    "--no-requeue": None,
    "--signal": None,
    "--wrap": None,
    "--clusters": "-M",  # squeue, sacct and scancel are called without
    "--test-only": None,
}
_WITH_ARGUMENT = "AabBCcDdeFGikJLMmNnopqStwx"  # sbatch's short options after which the rest of a word is no option


def _text(value: Any, where: str) -> str:
    text = checks.text(str(value) if type(value) is int else value, where)
    if any(ord(sign) < 32 or sign in "\"'\\" for sign in text):
        raise CampaignError(f"{where}: {short(value)} must be one line without quotation marks and backslashes.")
    return text


def _count(value: Any, where: str) -> int:
    return checks.whole(value, where, 1)


def _flag(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise CampaignError(f"{where}: {short(value)} is neither true nor false.")
    return value


def _memory(value: Any, where: str) -> int:
    match = None if isinstance(value, bool) else _MEMORY.fullmatch(str(value))
    megabytes = float(match[1]) * _MEGABYTES[match[2].upper()] if match else 0.0
    if not 1 <= megabytes < math.inf:
        raise CampaignError(f"{where}: {short(value)} is no amount of memory. Give megabytes, or for example '16G'.")
    return math.ceil(megabytes)


def _time(value: Any, where: str) -> float:
    if not isinstance(value, str) or re.fullmatch(r"[\d.]+", value.strip()):
        raise CampaignError(
            f"{where}: {short(value)} has no unit, and sbatch would take it for minutes. Give for example '30min', "
            "'8h', '08:00:00' or '1-12'."
        )
    if match := re.fullmatch(r"(\d{1,9})-(\d{1,2})(?::(\d\d))?(?::(\d\d))?", value.strip()):
        days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
        return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)
    try:
        given = duration(value, where)
    except CampaignError:
        good = "'30min', '8h', '08:00:00' or '1-12'"
        raise CampaignError(f"{where}: {short(value)} is no time. Give for example {good}.") from None
    if given <= 0:
        raise CampaignError(f"{where}: {short(value)} must be longer than nothing.")
    return given


def _lines(value: Any, where: str) -> tuple[str, ...]:
    items = value.splitlines() if isinstance(value, str) else value
    if not isinstance(items, list) or not all(isinstance(item, str) and "\n" not in item for item in items):
        raise CampaignError(f"{where}: {short(value)} is not a list of lines.")
    return tuple(item.rstrip() for item in items if item.strip())


def _options(value: Any, where: str) -> tuple[str, ...]:
    options = tuple(line.removeprefix("#SBATCH").strip() for line in _lines(value, where))
    for option in options:
        if not option.startswith("-"):
            raise CampaignError(f"{where}: {short(option)} is no option of sbatch; it should begin with '-'.")
        for word in _words(option, where):
            if (ours := _is_ours(word)) is not None:
                raise CampaignError(
                    f"{where}: '{ours}' is set by xpm-alchem itself (the profile has a key for it, or its bookkeeping "
                    "rests on it)."
                )
    return options


def _words(option: str, where: str) -> list[str]:
    """Return the words of a line as sbatch takes them: quotation marks and backslashes are undone."""
    try:
        return shlex.split(option)
    except ValueError as error:
        raise CampaignError(f"{where}: {short(option)} is no line of options ({error}).") from None


def _is_ours(word: str) -> str | None:
    """Return the option of ours that a word of a line is, or has in it.

    As getopt does, sbatch takes any beginning of a long option that is clear ('--ar=0-9'; none of ours is the beginning
    of another one, and what is not clear it refuses), and short ones in one word ('-Qa0-9').
    """
    if word.startswith("--"):
        name = word.partition("=")[0]
        return next((option for option in _OURS if len(name) > 2 and option.startswith(name)), None)
    letters = {letter: option for option, letter in _OURS.items() if letter is not None}
    for letter in word[1:] if word.startswith("-") else "":
        if f"-{letter}" in letters:
            return letters[f"-{letter}"]
        if letter in _WITH_ARGUMENT:
            return None
    return None


def _prologue(value: Any, where: str) -> tuple[str, ...]:
    lines = _lines(value, where)
    for line in lines:
        if line.lstrip().startswith("#SBATCH"):
            raise CampaignError(f"{where}: {short(line)} is an option of sbatch; give it under 'sbatch'.")
    return lines


def _environment(value: Any, where: str) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, Mapping):
        raise CampaignError(f"{where}: {hidden_value(value)} is not a mapping of names to values.")
    variables = dict(value)
    for key, item in variables.items():
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", str(key)):
            raise CampaignError(f"{where}: {short(key)} is no name of an environment variable.")
        if isinstance(item, bool) or not isinstance(item, str | int | float):
            raise CampaignError(f"{where}.{key}: {hidden_value(item)} is not a text or a number.")
    return tuple(sorted((str(key), str(item)) for key, item in variables.items()))


CHECKS: Mapping[str, Callable[[Any, str], Any]] = {
    **dict.fromkeys(
        ("partition", "account", "qos", "gpus", "gres", "constraint", "exclude", "reservation"),
        _text,
    ),
    **dict.fromkeys(("time", "max_time"), _time),
    **dict.fromkeys(("mem", "max_mem"), _memory),
    **dict.fromkeys(("cpus", "slots", "nodes", "tasks_per_gpu", "tasks_per_job", "side_by_side"), _count),
    **dict.fromkeys(("exclusive", "mps"), _flag),
    "platform": parse_platform,
    "container": Container.parse,
    "modules": _lines,
    "prologue": _prologue,
    "margin": duration,
    "sbatch": _options,
    "env": _environment,
    "price": Price.parse,
}
