"""An AlchemicalNetwork as a graph, and what a Transformation maps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import networkx as nx

from xpm_alchem.gufe_seam.installed import AlchemicalNetwork


def edge_graph(network: Any) -> nx.MultiDiGraph[Any]:
    """Return the network as a MultiDiGraph of ChemicalSystems, each Transformation under ``data['object']``."""
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    graph.add_nodes_from(sorted(network.nodes))
    for transformation in sorted(network.edges):
        graph.add_edge(transformation.stateA, transformation.stateB, object=transformation)
    return graph


def subgraphs(network: Any) -> list[Any]:
    """Return the connected parts of a network, each as an AlchemicalNetwork, largest first."""
    parts = []
    graph = edge_graph(network)
    for nodes in nx.weakly_connected_components(graph):
        edges = [data["object"] for _, _, data in graph.subgraph(nodes).edges(data=True)]
        parts.append(AlchemicalNetwork(edges=edges, nodes=nodes))
    return sorted(parts, key=lambda part: (-len(part.nodes), str(part.key)))


def mapping_of(transformation: Any) -> Any:
    """Return the one LigandAtomMapping of a Transformation, or None."""
    mapping = getattr(transformation, "mapping", None)  # a NonTransformation has none
    if isinstance(mapping, Mapping):  # --- gufe 0.4 only
        mapping = list(mapping.values())
    if isinstance(mapping, list | tuple):
        mapping = mapping[0] if len(mapping) == 1 else None
    return mapping if hasattr(mapping, "componentA_unique") else None
