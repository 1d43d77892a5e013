"""gufe objects in several files: each is written once, and all of them are read again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from one_task import Task

from xpm_alchem import gufe_seam as seam
from xpm_alchem.base.errors import FormatError
from xpm_alchem.execution import dag_files
from xpm_alchem.gufe_seam.keyed_chain import keys_in

UNITS = 12


def check(module: str) -> None:
    """Trust all modules."""


def content(path: Path) -> dict:
    """Return a file's chain, whatever its form, by key."""
    found = json.loads(path.read_bytes())
    return dict(found if isinstance(found, list) else found["chain"])


@pytest.fixture
def task(tmp_path, monkeypatch) -> Task:
    """A complete task whose last unit was given the results of all others, and whose result counts as large."""
    monkeypatch.setattr(dag_files, "_SMALL", 0)
    task = Task(tmp_path, n_simulations=UNITS)
    task.run()
    return task


def files_of(task: Task) -> list[Path]:
    return [task.files.dag, *sorted(task.files.results.iterdir()), task.files.result]


def test_every_object_is_in_one_file_only(task):
    held = [key for path in files_of(task) for key in content(path)]
    assert len(held) == len(set(held)) > 2 * UNITS
    named = {key for path in files_of(task) for one in content(path).values() for key in keys_in(one)}
    assert named <= set(held)


def test_the_whole_is_read_by_way_of_its_parts(task):
    result = seam.load(task.files.result, check)
    assert seam.dag_ok(result) and len(result.protocol_unit_results) == UNITS + 2
    (analysis,) = (one for one in result.protocol_unit_results if one.name == "analyse")
    assert analysis.outputs == task.outputs()["analyse"]
    given = {str(one.key) for one in analysis.inputs["simulations"]}
    assert given == {str(one.key) for one in result.protocol_unit_results if one.name.startswith("simulate")}


def test_a_small_result_does_without_other_files(tmp_path):
    task = Task(tmp_path)
    task.run()
    whole = json.loads(task.files.result.read_bytes())
    assert isinstance(whole, list)
    for path in files_of(task)[:-1]:
        path.unlink()
    assert seam.dag_ok(seam.load(task.files.result, check))


def test_what_is_written_is_what_gufe_would_write(task):
    result = seam.load(task.files.result, check)
    for key, one in json.loads(seam.to_text(result)):
        if key == str(result.key):
            assert one == json.loads(json.dumps(result.to_keyed_dict(), cls=seam.JSON_HANDLER.encoder))


def test_a_deep_chain_is_written_without_recursion(tmp_path):
    class Link:
        def __init__(self, number: int) -> None:
            self.key, self.number = f"Link-{number}", number

    from xpm_alchem.gufe_seam import objects

    links = [Link(number) for number in range(3000)]
    entry = type("E", (), {})

    def fake(obj):
        made = entry()
        made.key, made.parts = obj.key, [json.dumps(obj.number)]
        made.children = iter(links[obj.number + 1 : obj.number + 2])
        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(objects, "_Entry", fake)
        chain, named = objects.encoded(links[0], {"Link-2999"})
    assert list(chain) == [f"Link-{number}" for number in range(2998, -1, -1)] and named == {"Link-2999"}


@pytest.mark.parametrize("lost", ["dag.json", "results"])
def test_a_part_that_is_lost_or_damaged_is_named(task, lost):
    path = task.files.dag if lost == "dag.json" else sorted(task.files.results.iterdir())[0]
    saved = path.read_bytes()
    for damage in (path.unlink, lambda: path.write_bytes(saved[: len(saved) // 2])):
        path.write_bytes(saved)
        damage()
        with pytest.raises(FormatError) as caught:
            seam.load(task.files.result, check)
        assert caught.value.broken and str(path) in str(caught.value)


def change(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_bytes()) | values))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"format_version": 2}, "newer xpm-alchem (format 2)"),
        ({"format_version": 0}, "not as they are written"),
        ({"parts": ["../../elsewhere.json"]}, "parts elsewhere"),
        ({"parts": ["/etc/passwd"]}, "parts elsewhere"),
        ({"parts": "dag.json"}, "not as they are written"),
        ({"root": "../.."}, "not as they are written"),
        ({"root": ".."}, "missing"),
        ({"parts": ["result.json"]}, "a part of itself"),
        ({"parts": []}, "cannot read it"),
        ({"chain": {}}, "without a chain"),
    ],
)
def test_what_no_version_has_written_is_refused(task, values, words):
    change(task.files.result, **values)
    with pytest.raises(FormatError) as caught:
        seam.load(task.files.result, check)
    assert words in str(caught.value)
    assert caught.value.newer == (values.get("format_version") == 2)


def test_modules_of_parts_are_checked_too(task):
    asked: list[str] = []
    seam.load(task.files.result, asked.append)
    assert "dummy_protocol" in asked
    only_result: list[str] = []
    change(task.files.result, parts=[])
    with pytest.raises(FormatError):
        seam.load(task.files.result, only_result.append)
    assert "dummy_protocol" not in only_result


def test_an_object_that_another_version_of_gufe_named_is_written_again(tmp_path):
    """The key that a file has for it leads nowhere from a file of this version."""
    water, salt = seam.SolventComponent(), seam.SolventComponent(positive_ion="K")
    systems = [seam.ChemicalSystem({"solvent": one}) for one in (water, salt)]
    first = seam.Parts(tmp_path, check)
    first.save(water, tmp_path / "a.json")
    first.save(systems[0], tmp_path / "b.json")
    assert list(content(tmp_path / "b.json")) == [str(systems[0].key)]
    renamed = (tmp_path / "a.json").read_text().replace(str(water.key), "SolventComponent-as-once")
    (tmp_path / "a.json").write_text(renamed)
    later = seam.Parts(tmp_path, check)
    assert later.load(tmp_path / "a.json") == water
    later.save(systems[0], tmp_path / "c.json")
    assert set(content(tmp_path / "c.json")) == {str(water.key), str(systems[0].key)}
    assert seam.load(tmp_path / "c.json", check) == systems[0]


def test_a_result_that_is_given_to_a_later_unit_after_a_restart_is_not_written_again(tmp_path):
    task = Task(tmp_path, n_simulations=3)
    task.script(analyse={"do": "raise", "times": 1})
    with pytest.raises(Exception, match="simulated failure"):
        task.run()
    assert task.run().status == "complete"
    (analysis,) = (path for path in task.files.results.iterdir() if path.name.startswith("Analyse"))
    assert [key.split("-")[0] for key in content(analysis)] == ["ProtocolUnitResult"]
    assert len(json.loads(analysis.read_bytes())["parts"]) >= 3
