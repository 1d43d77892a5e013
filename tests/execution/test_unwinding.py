"""An interrupt is raised where it unwinds a unit, and nowhere else."""

from __future__ import annotations

import os
import signal
import sys
import types

import numpy as np
import pytest
from one_task import wait_until

from xpm_alchem.execution.interrupts import Interrupts, Stopped

SECRET = "the unit's own state is kept"


def wrapper() -> types.ModuleType:
    """Return a module as SWIG makes them: a function that calls C code, which calls Python code and checks nothing."""
    module = types.ModuleType("openmmlike")
    text = """
import ctypes
def _swig_repr(self): pass
Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
def step(called):
    items = (ctypes.c_int * 4)(3, 1, 2, 0)
    ctypes.CDLL(None).qsort(items, 4, 4, Callback(called))  # exceptions in `called` are dropped here
"""
    exec(compile(text, "openmmlike.py", "exec"), module.__dict__)
    return module


def interrupted(unit, monkeypatch) -> list[str]:
    """Run a unit that is interrupted by SIGTERM; return the exceptions that Python dropped."""
    dropped: list[str] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda lost: dropped.append(lost.exc_type.__name__))
    interrupts = Interrupts(None)

    def _execute():  # gufe's name of a unit's own code
        unit(interrupts)
        wait_until(lambda: False)

    before = sys.gettrace()
    with pytest.raises(Stopped, match="told to end by SIGTERM"), interrupts.watch(), interrupts.unit():
        _execute()
    assert sys.gettrace() is before
    return dropped


def told(interrupts) -> None:
    """Be told to end, and wait until the first interrupt has come."""
    os.kill(os.getpid(), signal.SIGTERM)
    wait_until(lambda: interrupts._unwinding._waiting is not None)


def test_nothing_is_raised_below_c_code_of_a_wrapper(monkeypatch):
    module, came_back = wrapper(), []

    def called(a, b):
        if not came_back:
            told(interrupts_at_work[0])
            came_back.append(True)
        return 0

    interrupts_at_work = []

    def unit(interrupts):
        interrupts_at_work.append(interrupts)
        module.step(called)
        came_back.append("and the next line")  # never comes: it is raised before

    assert interrupted(unit, monkeypatch) == []
    assert came_back == [True]


def test_a_wrapper_whose_c_code_has_come_back_is_a_good_place(monkeypatch):
    namespace = {"_swig_repr": None, "os": os, "signal": signal, "wait_until": wait_until, "__name__": "openmm.openmm"}
    exec("def step():\n    os.kill(os.getpid(), signal.SIGTERM)\n    while True: pass", namespace)
    assert interrupted(lambda interrupts: namespace["step"](), monkeypatch) == []


class Compared:
    """Is asked by C code: of lists, of numpy, of sorting."""

    def __init__(self, interrupts: Interrupts) -> None:
        self.interrupts, self.asked = interrupts, 0

    def answer(self, answer):
        if not self.asked:
            told(self.interrupts)
        self.asked += 1
        return answer

    def __eq__(self, other):
        return self.answer(False)

    def __hash__(self):
        return self.answer(7)

    def __bool__(self):
        return self.answer(True)

    def __lt__(self, other):
        return self.answer(True)

    def __float__(self):
        return self.answer(1.0)

    def __getattr__(self, name):
        raise AttributeError(name)

    def __del__(self):
        self.answer(None)


@pytest.mark.parametrize(
    "ask",
    [
        lambda it: [it].count(1),
        lambda it: {it},
        lambda it: not it,
        lambda it: sorted([it, it]),
        lambda it: float(it),
        lambda it: np.asarray([it, 1.0], dtype=object) == 2,
        lambda it: np.asarray([it], dtype=object).astype(float),
        lambda it: np.vectorize(lambda x: x == 3)(np.asarray([it], dtype=object)),
    ],
    ids=["eq", "hash", "bool", "lt", "float", "numpy eq", "numpy float", "vectorize"],
)
def test_a_question_that_c_code_asks_is_answered_first(ask, monkeypatch):
    compared = []

    def unit(interrupts):
        compared.append(Compared(interrupts))
        ask(compared[0])
        pytest.fail("it is raised before the next line")

    assert interrupted(unit, monkeypatch) == []
    assert compared[0].asked


def test_a_finalizer_ends_before_anything_is_raised(monkeypatch):
    def unit(interrupts):
        Compared(interrupts)

    assert interrupted(unit, monkeypatch) == []


def test_what_is_put_off_is_raised_when_the_function_returns_at_once(monkeypatch):
    def unit(interrupts):
        return float(Compared(interrupts))

    assert interrupted(unit, monkeypatch) == []


def test_a_unit_that_ends_first_keeps_its_result_and_is_traced_no_more():
    interrupts = Interrupts(None)
    module = wrapper()
    seen = []

    def called(a, b):
        if not seen:
            seen.append(told(interrupts))
        return 0

    def _execute():
        try:
            module.step(called)
            seen.append("never")
        except BaseException as error:  # a badly written protocol
            seen.append(type(error).__name__)
        return SECRET

    with interrupts.watch(), interrupts.unit():
        result = _execute()
    assert (result, seen[1:]) == (SECRET, ["ExecutionInterrupt"])
    assert sys.gettrace() is None or "coverage" in sys.modules
