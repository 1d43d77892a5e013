"""An AlchemicalArchive read as plain JSON: what is in it, one object at a time, and what is refused."""

from __future__ import annotations

import copy
import gzip
import json
import random

import archives
import pytest
from dummy_protocol import dummy_network

from xpm_alchem import gufe_seam as seam
from xpm_alchem.base.errors import InputError
from xpm_alchem.network.archive_file import looks_like_archive, read_archive, unpack_network
from xpm_alchem.network.loading import load_network


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A network of two edges, two results of the one and one of the other, and the chain of an archive of it all."""
    path = tmp_path_factory.mktemp("archive")
    network = dummy_network([(0, 1), (1, 2)], n_steps=1)
    seam.save(network, path / "network.json")
    one, other = sorted(network.edges, key=lambda edge: edge.name)
    results = {
        one: [archives.dag_result(one, path, repeat=n) for n in (1, 2)],
        other: [archives.dag_result(other, path)],
    }
    return path, results, archives.chain_of(network, results)


def refusal(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError) as caught:
        read_archive(path)
    return str(caught.value)


def test_an_archive_says_which_results_it_has_of_which_transformation(made, tmp_path):
    path, results, chain = made
    archive = read_archive(archives.write(tmp_path / "a.json", chain))
    index = load_network(path / "network.json", ("dummy_protocol",)).index
    assert {one.id: one.name for one in archive.transformations} == {one.id: one.name for one in index.transformations}
    assert [len(one.results) for one in archive.transformations] == [2, 1]
    assert "dummy_protocol" in archive.modules
    found = archive.result(archive.transformations[0].results[1])
    (_, second), *_ = results.values()
    assert found.key == str(second.key)
    assert set(found.units) == {str(unit.key) for unit in second.protocol_units}
    times = [getattr(unit, "start_time", None) for unit in second.protocol_unit_results]
    assert found.begun == ("" if None in times else min(times).isoformat())


def test_the_text_of_a_result_is_its_keyed_chain(made, tmp_path):
    _, results, chain = made
    archive = read_archive(archives.write(tmp_path / "a.json", chain, indent=1))
    for result in (result for found in results.values() for result in found):
        text = str(archive.text_of(str(result.key)))
        assert json.loads(text) == json.loads(seam.to_text(result))


def test_a_run_is_told_apart_by_its_units_however_it_is_written(made, tmp_path):
    _, results, chain = made
    key = str(next(iter(results.values()))[0].key)
    plain = read_archive(archives.write(tmp_path / "a.json", chain)).result(key).identity
    renamed = json.loads(json.dumps(chain).replace(key, "ProtocolDAGResult-of-another-gufe"))
    other = read_archive(archives.write(tmp_path / "b.json", renamed)).result("ProtocolDAGResult-of-another-gufe")
    assert plain == other.identity
    assert (
        len({read_archive(tmp_path / "a.json").result(str(r.key)).identity for f in results.values() for r in f}) == 3
    )


def test_a_result_of_no_unit_is_told_apart_by_its_content(made, tmp_path):
    _, _, chain = made
    empty = {**chain[0][1], "__qualname__": "ProtocolDAGResult", "protocol_unit_results": [], "protocol_units": []}
    results = [[f"ProtocolDAGResult-{n}", {**empty, "name": n}] for n in ("a", "b")]
    changed = copy.deepcopy([*chain[:-1], *results, chain[-1]])
    changed[-1][1]["transformation_results"][0][1] += [{":gufe-key:": key} for key, _ in results]
    archive = read_archive(archives.write(tmp_path / "a.json", changed))
    assert archive.result("ProtocolDAGResult-a").identity != archive.result("ProtocolDAGResult-b").identity


def test_an_archive_may_be_packed(made, tmp_path):
    text = json.dumps(made[2]).encode()
    (tmp_path / "a.json.gz").write_bytes(gzip.compress(text))
    assert looks_like_archive(tmp_path / "a.json.gz")
    assert len(read_archive(tmp_path / "a.json.gz").transformations) == 2
    assert "cut short or damaged (EOFError" in refusal(tmp_path / "b.json.gz", gzip.compress(text)[:-20])


def test_the_network_in_an_archive_is_put_into_a_file(made, tmp_path):
    path, _, chain = made
    archive, target = archives.write(tmp_path / "a.json", chain), tmp_path / "network.json"
    assert unpack_network(archive, target) and unpack_network(archive, target)
    found, given = (load_network(one, ("dummy_protocol",)).index for one in (target, path / "network.json"))
    assert found.by_id.keys() == given.by_id.keys()
    target.write_text("mine")
    with pytest.raises(InputError, match="exists already, and is where the network in"):
        unpack_network(archive, target)
    assert unpack_network(archive, target, force=True) and target.read_text() != "mine"
    assert not unpack_network(path / "network.json", tmp_path / "other.json")
    assert not unpack_network(tmp_path / "none.json", tmp_path / "other.json")
    assert not (tmp_path / "other.json").exists()


def test_what_a_quickrun_wrote_does_not_look_like_an_archive(tmp_path):
    (tmp_path / "r.json").write_text('{"estimate": null}')
    assert not looks_like_archive(tmp_path / "r.json")
    assert not looks_like_archive(tmp_path / "none.json")
    assert not looks_like_archive(tmp_path)


def test_what_is_no_archive_is_refused(made, tmp_path):
    _, results, chain = made
    file, text = tmp_path / "x.json", json.dumps(chain)
    said = refusal(file, seam.to_text(seam.AlchemicalNetwork(list(results))))
    assert said.startswith(f"{file}: holds the gufe class AlchemicalNetwork, not an AlchemicalArchive")
    assert "cut short or damaged" in refusal(file, text[: len(text) // 2])
    assert "there is something behind the list" in refusal(file, text + "[]")
    assert "an empty list" in refusal(file, "[]")
    assert "not of gufe's objects" in refusal(file, "[1, 2]")
    assert "UnicodeDecodeError" in refusal(file, b"[\xff\xfe]")
    assert "refers to" in refusal(file, json.dumps(chain[1:]))
    without = copy.deepcopy(chain)
    del without[-1][1]["transformation_results"]
    assert "KeyError" in refusal(file, json.dumps(without))
    with pytest.raises(InputError, match="there is no such file"):
        read_archive(tmp_path / "none.json")
    with pytest.raises(InputError, match="a directory"):
        read_archive(tmp_path)


def test_a_damaged_archive_is_one_sentence(made, tmp_path):
    chance, text = random.Random(1), json.dumps(made[2])
    path = tmp_path / "x.json"
    for _ in range(300):
        at = chance.randrange(len(text))
        kind = chance.randrange(3)
        change = text[:at] if kind == 0 else text[:at] + chance.choice('{}[],:"0x\\n') + text[at + kind - 1 :]
        path.write_text(change)
        try:
            archive = read_archive(path)
            for one in archive.transformations:
                for key in one.results:
                    archive.result(key)
                    str(archive.text_of(key))
        except InputError as error:
            assert str(error).startswith(f"{path}: ") and "\n" not in str(error)
