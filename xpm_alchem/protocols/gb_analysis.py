"""From energy differences in the windows to a free energy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from xpm_alchem.base.quiet import quiet
from xpm_alchem.protocols.packages import load_package

GAS_CONSTANT = 8.314462618e-3  # kJ/mol/K, CODATA 2018
KJ_PER_KCAL = 4.184
CONSTANT_BELOW = 1e-12  # kJ/mol: a series that does not fluctuate has no correlation time


def analyse(samples: Sequence[np.ndarray], lambdas: Sequence[float], temperature: float) -> dict[str, Any]:
    """Estimate a free energy with MBAR (Shirts and Chodera, J. Chem. Phys. 129, 124105, 2008).

    Each window is thinned to independent samples by its statistical inefficiency (Chodera et al., J. Chem. Theory
    Comput. 3, 26, 2007). The reduced potential of a sample at lambda is ``lambda dU / kT`` up to a constant of the
    sample, which MBAR does not need.

    Parameters
    ----------
    samples
        For each window the energy differences ``U_b - U_a`` in the order of time, kJ/mol.
    lambdas
        The lambda of each window.
    temperature
        K.

    Returns
    -------
    dict
        ``estimate``, ``error`` (MBAR) and ``ti`` (thermodynamic integration, trapezoids), kcal/mol;
        ``min_overlap`` of neighbouring windows, 0 to 0.5; ``n_effective``, independent samples in total;
        ``max_inefficiency`` of a window.
    """
    pymbar = load_package("pymbar")
    timeseries = load_package("pymbar.timeseries")
    kt = GAS_CONSTANT * temperature
    lam = np.array(lambdas)
    with quiet("pymbar"):
        inefficiencies, thinned = [], []
        for series in samples:
            fluctuates = np.std(series) > CONSTANT_BELOW
            inefficiency = float(timeseries.statistical_inefficiency(series)) if fluctuates else 1.0
            inefficiencies.append(inefficiency)
            thinned.append(series[timeseries.subsample_correlated_data(series, g=inefficiency)])
        counts = np.array([len(series) for series in thinned])
        pooled = np.concatenate(thinned)
        # Solved for dU - mean(dU), which changes the answer by the mean: the solver fails on large offsets.
        mean = pooled.mean()
        mbar = pymbar.MBAR(np.outer(lam, pooled - mean) / kt, counts)
        differences = mbar.compute_free_energy_differences()
        overlap = mbar.compute_overlap()["matrix"]
    means = np.array([series.mean() for series in samples])
    ti = float(((means[1:] + means[:-1]) / 2 * np.diff(lam)).sum())
    return {
        "estimate": float(differences["Delta_f"][0, -1] * kt + mean * (lam[-1] - lam[0])) / KJ_PER_KCAL,
        "error": float(differences["dDelta_f"][0, -1] * kt) / KJ_PER_KCAL,
        "ti": ti / KJ_PER_KCAL,
        "min_overlap": float(min(overlap[i, i + 1] for i in range(len(lam) - 1))),
        "n_effective": int(counts.sum()),
        "max_inefficiency": max(inefficiencies),
    }
