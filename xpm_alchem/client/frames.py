"""Results and tasks as pandas DataFrames, where pandas is installed. Energies in kcal/mol."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from xpm_alchem.base.errors import MissingPackageError
from xpm_alchem.views.overview import View
from xpm_alchem.views.result_rows import legs_of

if TYPE_CHECKING:
    from pandas import DataFrame

Column = tuple[str, Callable[[View], Any]]


class ResultFrames(NamedTuple):
    """Results as DataFrames; see `Campaign.transformations`, `Campaign.edges` and `Campaign.ligands`."""

    transformations: DataFrame
    edges: DataFrame
    ligands: DataFrame


def result_frames(view: View) -> ResultFrames:
    """Return the DataFrames of what `results_view` returns.

    Raises
    ------
    MissingPackageError
        pandas is not installed.
    """
    ligands = ({**row, "legs": legs_of(network)} for network in view["networks"] for row in network["ligands"])
    return ResultFrames(
        _frame([*view["transformations"], *_gone(view["gone_transformations"])], _TRANSFORMATIONS),
        _frame([*view["edges"], *_gone(view["gone_edges"])], _EDGES),
        _frame(ligands, _LIGANDS),
    )


def _gone(rows: Iterable[View]) -> Iterable[View]:
    return ({**row, "gone": True} for row in rows)


def task_frame(view: View) -> DataFrame:
    """Return the DataFrame of what `tasks_view` returns.

    Raises
    ------
    MissingPackageError
        pandas is not installed.
    """
    return _frame(view["rows"], _TASKS)


def _frame(rows: Iterable[View], columns: Mapping[str, Column]) -> DataFrame:
    try:
        import pandas
    except ImportError:
        raise MissingPackageError(
            "DataFrames need the Python package 'pandas', which is not installed here: `pip install pandas`, or "
            "`conda install -c conda-forge pandas`. Without it: Campaign.results(), Campaign.get_tasks()."
        ) from None
    rows = list(rows)
    return pandas.DataFrame(
        {name: pandas.Series([value(row) for row in rows], dtype=kind) for name, (kind, value) in columns.items()}
    )


_TEXT, _NUMBER, _COUNT, _TRUTH, _PLACE = "object", "float64", "int64", "bool", "Int64"


def _columns(kind: str, *names: str) -> dict[str, Column]:
    return {name: (kind, lambda row, name=name: row[name]) for name in names}  # type: ignore[misc]


def _joined(name: str) -> Column:
    return _TEXT, lambda row: ", ".join(row[name])


_GONE: dict[str, Column] = {"gone": (_TRUTH, lambda row: row.get("gone", False))}
_TRANSFORMATIONS: dict[str, Column] = {
    **_columns(_TEXT, "transformation", "leg"),
    "repeats": (_COUNT, lambda row: len(row["repeats"])),
    **_columns(_NUMBER, "estimate", "sd", "standard_error", "protocol_uncertainty"),
    **_columns(_TEXT, "id"),
    **_GONE,
}
_EDGES: dict[str, Column] = {
    **_columns(_TEXT, "edge", "ligand_a", "ligand_b"),
    "legs": (_TEXT, legs_of),
    **_columns(_NUMBER, "estimate", "standard_error", "sd", "fitted", "off_the_rest", "z", "experiment"),
    "missing": _joined("missing"),
    **_GONE,
}
_LIGANDS: dict[str, Column] = {
    **_columns(_TEXT, "ligand", "legs"),
    **_columns(_PLACE, "part"),
    **_columns(_NUMBER, "estimate", "uncertainty", "steadied_estimate", "standard_error"),
    **_columns(_NUMBER, "on_experimental_scale", "experiment", "experiment_uncertainty", "deviation"),
}
_TASKS: dict[str, Column] = {
    **_columns(_TEXT, "task", "transformation"),
    **_columns(_COUNT, "repeat"),
    **_columns(_TEXT, "status"),
    **_columns(_TRUTH, "actioned", "at_work"),
    **_columns(_COUNT, "priority"),
    **_columns(_TEXT, "extends"),
    **_columns(_COUNT, "attempts"),
    **_columns(_TEXT, "host"),
    "devices": _joined("devices"),
    **_columns(_NUMBER, "estimate"),
    **_columns(_TEXT, "reason", "id"),
}
