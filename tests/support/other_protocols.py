"""Protocols by the names of OpenFE's that compute no relative leg: none at all, or the value of one ligand."""

from __future__ import annotations

from typing import Any

import attrs
from dummy_protocol import DummyProtocol, DummyResult, DummySettings, small_molecule

from xpm_alchem import gufe_seam as seam


class PlainMDProtocolResult(DummyResult):
    def get_estimate(self) -> None:  # type: ignore[override]
        return None

    def get_uncertainty(self) -> None:  # type: ignore[override]
        return None


class PlainMDProtocol(DummyProtocol):
    """Runs, and computes no free energy."""

    result_cls = PlainMDProtocolResult


class AbsoluteSolvationProtocol(DummyProtocol):
    """Computes the value of one ligand."""


@attrs.frozen
class Lonely:
    """Two ligands in water: one simulated, one made to disappear.

    Attributes
    ----------
    plain, absolute
        The transformations' names.
    """

    plain: str = "ligand_1_md"
    absolute: str = "ligand_2_hydration"

    def network(self) -> Any:
        """Return the network."""
        water = seam.SolventComponent()

        def system(name: str, ligand: Any = None) -> Any:
            return seam.ChemicalSystem({"solvent": water} | ({"ligand": ligand} if ligand else {}), name=name)

        one, two = (small_molecule(f"ligand_{n}", "C" * (n + 1)) for n in (1, 2))
        settings = DummySettings()
        plain = system("md_1", one)
        transformations = [
            seam.NonTransformation(plain, PlainMDProtocol(settings), name=self.plain),
            seam.Transformation(
                system("bound_2", two), system("gone_0"), AbsoluteSolvationProtocol(settings), None, name=self.absolute
            ),
        ]
        return seam.AlchemicalNetwork(edges=transformations, name="lonely")
