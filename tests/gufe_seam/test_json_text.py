"""A large JSON is made and written in pieces, and is the same text as if it had been made at once."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from xpm_alchem import gufe_seam as seam
from xpm_alchem.gufe_seam import json_text, objects
from xpm_alchem.gufe_seam.installed import GufeKey, ProtocolUnitResult
from xpm_alchem.gufe_seam.json_text import JsonText, LongString


@pytest.mark.parametrize("text", ["", "a", "0123456789ab", 'say "\\no"\n\x00\x7f\xff', "µ\u2028😀\ud83d\ude00😀\udead"])
@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_a_string_in_pieces_is_what_json_makes_of_it(monkeypatch: pytest.MonkeyPatch, text: str, size: int) -> None:
    monkeypatch.setattr(json_text, "PIECE", size)
    assert "".join(LongString(text)) == json.dumps(text)


def test_a_text_can_be_iterated_again_in_pieces_that_are_no_larger(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_text, "PIECE", 4)
    text = JsonText('{"a": [', [["[1, ", LongString("abcdefgh"), "]"], ["2, 3456"]], "]}")
    assert str(text) == str(text) == '{"a": [[1, "abcdefgh"], 2, 3456]}'
    assert max(map(len, text)) == 4
    assert str(JsonText("[", [], "]")) == "[]"


@pytest.fixture
def result() -> Any:
    """A unit's result with arrays, whose bytes are a long string in JSON, and with other long texts."""
    arrays = [np.random.default_rng(seed).random(size) for seed, size in enumerate((100_000, 3, 150_000))]
    outputs = {"arrays": arrays, "again": arrays[0], "bytes": bytes(range(256)) * 3000, "text": "\u00b5" * 100_000}
    return ProtocolUnitResult(name="large", source_key=GufeKey("Unit-1"), inputs={}, outputs=outputs)


def test_what_is_written_in_pieces_is_the_same_text_and_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, result: Any
) -> None:
    at_once = seam.to_text(result)  # nothing in it is as long as a piece
    for module in (json_text, objects):
        monkeypatch.setattr(module, "PIECE", 1000)
    path = tmp_path / "result.json"
    parts = seam.Parts(tmp_path, lambda module: None)
    parts.save(result, path)
    assert path.read_text() == at_once == seam.to_text(result)
    there = seam.load(path, lambda module: None)
    assert all(map(np.array_equal, there.outputs["arrays"], result.outputs["arrays"]))
    assert there.outputs["text"] == result.outputs["text"]


def test_the_text_of_an_array_is_never_whole_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, result: Any
) -> None:
    for module in (json_text, objects):
        monkeypatch.setattr(module, "PIECE", 1 << 14)
    result = ProtocolUnitResult(
        name="large", source_key=GufeKey("Unit-1"), inputs={}, outputs={"array": result.outputs["arrays"][0]}
    )
    tracemalloc.start()
    try:
        seam.save(result, tmp_path / "result.json")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < (tmp_path / "result.json").stat().st_size
