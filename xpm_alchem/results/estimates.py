"""Results per transformation and per edge. Energies in kcal/mol throughout."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

import attrs

from xpm_alchem.campaign.task_state import TaskState, TaskStatus, mean_seconds
from xpm_alchem.network.index import Edge, Index, Leg, TransformationRecord, told_apart

WHOLE_PLACE = "whole"  # instead of what surrounds ligands in the solvent: one transformation computes both legs


@attrs.frozen
class TransformationResult:
    """The repeats of one transformation.

    Attributes
    ----------
    repeats
        The estimate of each complete repeat, by repeat.
    numbers
        The numbers of these repeats.
    uncertainties
        What the protocol says of each of them; None where it says nothing.
    estimate
        Their mean; None without any.
    sd
        Their standard deviation (n - 1 in the denominator); None with fewer than two.
    protocol_uncertainty
        Mean of what the protocol says of each repeat. 0.0 (as openfe's relative protocol says) is no certainty.
    """

    id: str
    name: str
    environment: str
    repeats: tuple[float, ...]
    uncertainties: tuple[float | None, ...]
    estimate: float | None
    sd: float | None
    protocol_uncertainty: float | None
    numbers: tuple[int, ...] = ()
    protocol: str = ""

    @property
    def standard_error(self) -> float | None:
        """The standard error of the mean; None with fewer than two repeats."""
        return None if self.sd is None else self.sd / math.sqrt(len(self.repeats))


@attrs.frozen
class EdgeResult:
    """ddG of one edge between two environments: ``sum(sign x dG(later)) - sum(sign x dG(earlier))``.

    Attributes
    ----------
    missing
        Names of the transformations that have no result yet; the estimate is then None.
    sd
        Between repeats: the standard deviations of both legs added in squares, as `openfe gather` does.
    ligand_a, ligand_b
        Their names, as `told_apart` has them.
    legs
        Stable id and sign of the later and of the earlier leg.
    ligand_ids, places
        Content ids of the ligands A and B, and of what surrounds them in the earlier and the later environment.
    """

    ligand_a: str
    ligand_b: str
    environments: tuple[str, str]
    estimate: float | None
    standard_error: float | None
    missing: tuple[str, ...]
    sd: float | None = None
    legs: tuple[tuple[str, int], ...] = ()
    ligand_ids: tuple[str, str] = ("", "")
    places: tuple[str, str] = ("", "")

    @property
    def name(self) -> str:
        """The edge as 'A -> B'."""
        return f"{self.ligand_a} -> {self.ligand_b}"


def transformation_results(index: Index, tasks: Mapping[str, Iterable[TaskState]]) -> dict[str, TransformationResult]:
    """Return the results by stable id; `tasks` are grouped by transformation."""
    results = {}
    for record in index.transformations:
        complete = [
            task
            for task in tasks.get(record.id, ())
            if task.status is TaskStatus.COMPLETE and task.estimate is not None
        ]
        complete.sort(key=lambda task: task.repeat)
        results[record.id] = _of_repeats(
            record,
            tuple(task.estimate for task in complete if task.estimate is not None),
            tuple(task.uncertainty for task in complete),
            tuple(task.repeat for task in complete),
        )
    return results


def first_repeats(
    index: Index, results: Mapping[str, TransformationResult], count: int
) -> dict[str, TransformationResult]:
    """Return the results as they would be with the first `count` repeats of each transformation."""
    found = {}
    for record in index.transformations:
        result = results[record.id]
        parts = (result.repeats[:count], result.uncertainties[:count], result.numbers[:count])
        found[record.id] = _of_repeats(record, *parts)
    return found


def _of_repeats(
    record: TransformationRecord,
    values: tuple[float, ...],
    uncertainties: tuple[float | None, ...],
    numbers: tuple[int, ...],
) -> TransformationResult:
    given = [uncertainty for uncertainty in uncertainties if uncertainty is not None]
    mean = math.fsum(values) / len(values) if values else None
    return TransformationResult(
        id=record.id,
        name=record.name,
        environment=record.environment,
        repeats=values,
        uncertainties=uncertainties,
        estimate=mean,
        sd=None if mean is None or len(values) < 2 else _standard_deviation(values, mean),
        protocol_uncertainty=math.fsum(given) / len(given) if given else None,
        numbers=numbers,
        protocol=record.protocol,
    )


def _standard_deviation(values: Sequence[float], mean: float) -> float:
    return math.sqrt(math.fsum([(value - mean) ** 2 for value in values]) / (len(values) - 1))


def edge_results(index: Index, results: Mapping[str, TransformationResult]) -> list[EdgeResult]:
    """Return ddG of every edge, for each pair of neighbouring environments."""
    found = []
    for edge in index.edges:
        first = index.by_id[edge.legs[0].transformation]
        for early, late in _differences(edge):
            legs = [(results[late.transformation], late.sign)]
            if early is not None:
                legs.append((results[early.transformation], -early.sign))
            missing = tuple(leg.name for leg, _ in legs if not leg.repeats)
            value = None if missing else sum(sign * (leg.estimate or 0.0) for leg, sign in legs)
            found.append(
                EdgeResult(
                    edge.ligand_a,
                    edge.ligand_b,
                    ("solvent" if early is None else early.environment, late.environment),
                    value,
                    _in_squares(leg.standard_error for leg, _ in legs),
                    missing,
                    sd=_in_squares(leg.sd for leg, _ in legs),
                    legs=tuple((leg.id, sign) for leg, sign in legs),
                    ligand_ids=(first.ligand_a_id, first.ligand_b_id),
                    places=(
                        WHOLE_PLACE if early is None else index.by_id[early.transformation].environment_id,
                        index.by_id[late.transformation].environment_id,
                    ),
                )
            )
    return _told_apart(found)


def _differences(edge: Edge) -> Iterator[tuple[Leg | None, Leg]]:
    """Yield the earlier and the later leg of each ddG; no earlier one where one transformation computes it whole."""
    if len(edge.legs) == 1:
        yield None, edge.legs[0]
    else:
        yield from itertools.pairwise(edge.legs)


def _told_apart(edges: list[EdgeResult]) -> list[EdgeResult]:
    """Return the edges; of those whose values may be compared no two ligands have the same name."""
    names: dict[object, dict[str, str]] = {}
    for edge in edges:
        group = names.setdefault((edge.environments, edge.places), {})
        group |= dict(zip(edge.ligand_ids, (edge.ligand_a, edge.ligand_b), strict=True))
    unique = {key: told_apart(group) for key, group in names.items()}
    ends = [[unique[edge.environments, edge.places][one] for one in edge.ligand_ids] for edge in edges]
    return [attrs.evolve(edge, ligand_a=a, ligand_b=b) for edge, (a, b) in zip(edges, ends, strict=True)]


def _in_squares(errors: Iterable[float | None]) -> float | None:
    known = list(errors)
    return None if None in known else math.hypot(*(error for error in known if error is not None))


@attrs.frozen
class CountedResult:
    """As much of a ProtocolResult as our own strategies ask for, made from summaries alone.

    Attributes
    ----------
    n_protocol_dag_results
        Results, those to come among them.
    result
        What the complete tasks say.
    to_come
        How many results are on their way.
    cost
        Mean seconds of a complete task; NaN before the first.
    blocked
        Whether nothing more will come before a user deals with a task in error, or with the budget.
    """

    n_protocol_dag_results: int
    result: TransformationResult
    to_come: int = 0
    cost: float = math.nan
    blocked: bool = False

    @classmethod
    def of(cls, result: TransformationResult, tasks: Iterable[TaskState], *, closed: bool = False) -> CountedResult:
        """Return what is known of a transformation with nothing to come; `closed`: by the budget."""
        tasks = list(tasks)
        seconds, statuses = mean_seconds(tasks), [task.status for task in tasks]
        return cls(
            n_protocol_dag_results=statuses.count(TaskStatus.COMPLETE),
            result=result,
            cost=math.nan if seconds is None else seconds,
            blocked=closed or TaskStatus.ERROR in statuses,
        )

    def with_more(self, to_come: int) -> CountedResult:
        """Return the same with results on their way."""
        if to_come == 0:
            return self
        count = self.n_protocol_dag_results + to_come
        return CountedResult(count, self.result, to_come, self.cost, self.blocked)

    def get_individual_estimates(self) -> list[tuple[float, float]]:
        """Return estimate and the protocol's own uncertainty (0.0 where it gives none) of each repeat in kcal/mol."""
        return [(x, u or 0.0) for x, u in zip(self.result.repeats, self.result.uncertainties, strict=True)]

    def get_estimate(self) -> float | None:
        """Return the mean of the repeats in kcal/mol, None before the first."""
        return self.result.estimate

    def get_uncertainty(self) -> float | None:
        """Return their standard deviation in kcal/mol, None before the second."""
        return self.result.sd
