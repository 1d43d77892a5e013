"""The campaign.yaml that `init` writes: it says what was given, whatever the names are."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from filled_campaign import network_index

from xpm_alchem.network.loading import Network
from xpm_alchem.plan.templates import campaign_template


@pytest.mark.parametrize(
    "name",
    ["plain.json", "[old] data/n.json", "a: b.json", "#1.json", "β {x}.json", "x\nname: other\n.json", "- n"],
)
def test_a_path_is_a_path_in_yaml(tmp_path: Path, name: str) -> None:
    network = Network(tmp_path / name, b"{}", [], network_index([("a", "b")], name="[net]"), ())
    text = campaign_template(network, tmp_path / "c\n.yaml", name=None, workspace=f"./{name}", trusted=())
    found = yaml.safe_load(text)
    assert (found["network"], found["workspace"], found["name"]) == (name, f"./{name}", "net")
