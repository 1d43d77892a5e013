"""Where an interrupt may be raised, so that it unwinds a unit and cannot crash it.

A signal is handled between any two instructions of Python code: also in a small function that C code has called and
whose answer that C code does not check. The wrappers of OpenMM, made by SWIG, are such code: an exception raised there
ended 1 of 12 interrupted simulations in PyObject_IsTrue(NULL). So it is raised at once only where all of the unit's
functions were called by Python code; else when control is back in the innermost one that was, at its next line.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

_ENTRY = "_execute"  # the unit's own code begins here
_PACKAGES = {"openmm", "simtk", "numpy", "weakref", "_weakrefset"}  # call back from C, or are called back
_SLOTS = {  # called from C wherever an object is compared, converted, printed, looked up or removed
    "__del__",
    "__bool__",
    "__len__",
    "__hash__",
    "__eq__",
    "__ne__",
    "__lt__",
    "__le__",
    "__gt__",
    "__ge__",
    "__int__",
    "__float__",
    "__complex__",
    "__index__",
    "__repr__",
    "__str__",
    "__bytes__",
    "__format__",
    "__contains__",
    "__getattr__",
    "__getattribute__",
    "__setattr__",
    "__array__",
    "__array_ufunc__",
    "__array_function__",
    "__instancecheck__",
    "__subclasscheck__",
}


class Unwinding:
    """Raises an interrupt in a unit's code; `forget` afterwards, whether or not it was raised."""

    def __init__(self) -> None:
        self._waiting: FrameType | None = None
        self._traced_before: Any = None

    def interrupt(self, frame: FrameType | None, error: Callable[[], BaseException]) -> None:
        """Raise `error()` now, or as soon as it may be raised; do nothing outside of a unit's own code.

        Parameters
        ----------
        frame
            The one that was interrupted.
        """
        called = _unit_frames(frame)
        place = place_to_raise(called)
        if place is None:
            return
        if place is called[-1]:
            self.forget()
            raise error()
        self._raise_back_in(place, error)

    def forget(self) -> None:
        """Raise nothing any more."""
        if self._waiting is not None:
            self._waiting.f_trace = None
            self._waiting = None
            sys.settrace(self._traced_before)

    def _raise_back_in(self, place: FrameType, error: Callable[[], BaseException]) -> None:
        def trace(frame: FrameType, event: str, argument: Any) -> Any:
            if event not in ("line", "return"):
                return trace
            if self._waiting is not place:  # forgotten, or another place is waited for
                return None
            self.forget()
            raise error()

        self.forget()
        self._waiting, self._traced_before = place, sys.gettrace()
        place.f_trace = trace
        sys.settrace(_trace_no_more)


def place_to_raise(called: list[FrameType]) -> FrameType | None:
    """Return the innermost of a unit's frames in which an exception may be raised, None if there is none.

    Parameters
    ----------
    called
        The unit's frames, outermost first; see `_unit_frames`.
    """
    for number, frame in enumerate(called):
        is_innermost = frame is called[-1]
        if _is_swig(frame) and is_innermost:  # it has called C code, and that has come back
            return frame
        if number and (_is_swig(frame) or _is_called_from_c(frame)):
            return called[number - 1]
    return called[-1] if called else None


def _unit_frames(frame: FrameType | None) -> list[FrameType]:
    """Return the frames from a unit's own code to the interrupted one; empty if that is none of the unit's."""
    frames = []
    entry = 0
    while frame is not None:
        frames.append(frame)
        if frame.f_code.co_name == _ENTRY:
            entry = len(frames)
        frame = frame.f_back
    return frames[:entry][::-1]


def _is_swig(frame: FrameType) -> bool:
    """Whether this is a function of a module made by SWIG: it calls C code, which may call Python code unchecked."""
    return "_swig_repr" in frame.f_globals


def _is_called_from_c(frame: FrameType) -> bool:
    package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
    return package in _PACKAGES or frame.f_code.co_name in _SLOTS


def _trace_no_more(frame: FrameType, event: str, argument: Any) -> None:
    """Trace no function that is called from now on."""
