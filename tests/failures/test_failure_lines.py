"""Equal failures fall together, and the pattern suggested for them finds them."""

from __future__ import annotations

import re
import traceback

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xpm_alchem.failures.failure_lines import LineShape, failure_line, looks_passing

NAMES = ("ligand_7", "benzene", "gpu-node-12", "x")
HEAD = "Traceback (most recent call last):\n  File 'a.py', line 3, in f\n    g()\n"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("RuntimeError: CUDA_ERROR 700", "RuntimeError: CUDA_ERROR 2"),
        ("RuntimeError: at 0x7f12ab34", "RuntimeError: at 0x55d0"),
        ("ValueError: energy -1.5e10 kJ/mol", "ValueError: energy 3 kJ/mol"),
        ("OSError: [Errno 28] No space left: '/a/b.nc'", "OSError: [Errno 28] No space left: '/scratch/t m p/x'"),
        ("OSError: cannot read /a/b.nc", "OSError: cannot read ./c"),
        ("KeyError: 'ligand_7'", "KeyError: 'benzene'"),
        ("ValueError: no charges for benzene", "ValueError: no charges for ligand_7"),
        ('KeyError: "the ligand benzene"', 'KeyError: "x"'),
        ("its process on gpu-node-12 ended", "its process on benzene ended"),
        ("GufeKeyError: ProtocolUnit-38facc0123456789abcdef", "GufeKeyError: ProtocolUnit-0bc1fe23456789abcdef0123"),
        (
            "E: job 0f2b3112-2fec-4c1b-9c4e-abcdef012345 is gone",
            "E: job 1f2b3112-2fec-4c1b-9c4e-abcdef012346 is gone",
        ),
    ],
)
def test_equal_failures_fall_together(one: str, other: str) -> None:
    assert LineShape.of(one, NAMES) == LineShape.of(other, NAMES)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("RuntimeError: NaN", "RuntimeError: NaN in the energy"),
        ("OSError: [Errno 28] No space left", "OSError: [Errno 5] No space left"),
        ("KeyError: 'openmm'", "KeyError: 'openff'"),
        ("a.b.Error1: x", "a.b.Error2: x"),
        ("ValueError: can't open 'x y'", "ValueError: can't close 'x y'"),
    ],
)
def test_different_failures_do_not(one: str, other: str) -> None:
    first, second = LineShape.of(one), LineShape.of(other)
    assert first != second
    assert re.search(first.pattern, f"{HEAD}{one}\n")
    assert not re.search(first.pattern, f"{HEAD}{other}\n")


def test_a_pattern_is_as_readable_as_can_be() -> None:
    line = "openmm.OpenMMException: Particle coordinate is NaN (step 3)"
    assert LineShape.of(line).pattern == (
        r"(?m)^openmm\.OpenMMException: Particle coordinate is NaN \(step [-+\d.eE]+\)$"
    )


pieces = st.one_of(
    st.text(max_size=12).map(lambda text: text.replace("\n", "")),
    st.integers().map(str),
    st.floats().map(repr),
    st.integers(min_value=0).map(hex),
    st.uuids().map(str),
    st.sampled_from(["/a/b c", "~/x.nc", "'/tmp/x'", '"benzene"', "'", '"', "[Errno 5]", "\\", ".*", "(", "]", *NAMES]),
)
lines = st.lists(pieces, min_size=1, max_size=8).map("".join).filter(lambda line: line.strip())


@settings(deadline=None)
@given(lines)
def test_a_pattern_matches_the_line_it_was_made_for(line: str) -> None:
    shape = LineShape.of(line, NAMES)
    text = f"{HEAD}{line}\nand what follows"
    assert re.search(shape.loose_pattern, text)
    if line == line.strip():
        assert re.search(shape.pattern, text)


@settings(deadline=None)
@given(st.lists(lines, min_size=1, max_size=8))
def test_a_pattern_matches_every_line_of_its_shape(many: list[str]) -> None:
    shapes = [(line, LineShape.of(line, NAMES)) for line in many]
    for _, shape in shapes:
        group = [line for line, other in shapes if other == shape]
        assert all(re.search(shape.loose_pattern, f"{HEAD}{line}\n") for line in group)


template = st.lists(st.sampled_from([" at", " of", " (", ")", ":", "%d", "%x", "%s", ",", " kJ/mol"]))


@settings(deadline=None)
@given(template, st.data())
def test_what_differs_in_numbers_addresses_and_names_alone_is_equal(parts: list[str], data: st.DataObject) -> None:
    fillings = {
        "%d": st.integers(min_value=0).map(lambda number: f" {number}"),
        "%x": st.integers(min_value=0).map(lambda number: f" {number:#x}"),
        "%s": st.sampled_from([" benzene", " ligand_7", " gpu-node-12"]),
    }

    def filled() -> str:
        drawn = (data.draw(fillings[part]) if part in fillings else part for part in parts)
        return f"RuntimeError:{''.join(drawn)}"

    assert LineShape.of(filled(), NAMES) == LineShape.of(filled(), NAMES)


def test_of_a_very_long_line_the_beginning_counts() -> None:
    line = "RuntimeError: " + "no, " * 1000
    shape = LineShape.of(line)
    assert len(shape.pattern) < 600
    assert re.search(shape.pattern, line)
    assert shape == LineShape.of(f"{line} and more")


# ------------------------------------------------------------------------------------------------ which line it is
def raised(error: Exception, cause: Exception | None = None) -> str:
    try:
        try:
            if cause is not None:
                raise cause
        except Exception:
            raise error from cause
        raise error
    except Exception:
        return traceback.format_exc()


@settings(deadline=None)
@given(st.text(alphabet=st.characters(exclude_characters="\n\r", exclude_categories=["C", "Z"]), min_size=1))
def test_the_line_says_what_was_raised(message: str) -> None:
    assert failure_line(raised(ValueError(message))) == f"ValueError: {message}"
    assert failure_line(raised(ValueError(message), KeyError("its cause"))) == f"ValueError: {message}"


def test_of_a_message_of_several_lines_it_is_the_first() -> None:
    assert failure_line(raised(ValueError("2 errors\n  field required\n  see the docs"))) == "ValueError: 2 errors"


def test_of_a_traceback_within_a_message_it_is_the_innermost() -> None:
    inner = raised(KeyError("deep down"))
    assert failure_line(raised(RuntimeError(f"a worker failed:\n{inner}"))) == "KeyError: 'deep down'"


def test_log_lines_after_a_traceback_are_passed_over() -> None:
    text = f"INFO: begins\n{HEAD}ImportError: libcuda.so.1\nINFO: cleaning up\n"
    assert failure_line(text) == "ImportError: libcuda.so.1"


@pytest.mark.parametrize(("text", "line"), [("", ""), ("\n \n", ""), ("one\ntwo\n\n", "two"), (HEAD, "    g()")])
def test_without_an_exception_it_is_the_last_line(text: str, line: str) -> None:
    assert failure_line(text) == line


@pytest.mark.parametrize(
    ("line", "passing"),
    [
        ("openmm.OpenMMException: Particle coordinate is NaN", True),
        ("openmm.OpenMMException: Error initializing CUDA: CUDA_ERROR_NO_DEVICE (100)", True),
        ("OSError: [Errno 116] Stale file handle", True),
        ("ImportError: libcuda.so.1: cannot open shared object file", False),
        ("KeyError: 'nan'", False),
        ("RuntimeError: no charges for this molecule", False),
        ("ValueError: banana", False),
    ],
)
def test_which_failures_may_pass(line: str, passing: bool) -> None:
    assert looks_passing(line) is passing
