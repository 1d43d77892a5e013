"""Linear algebra on one thread.

A driver shares a login node with others, or a machine with its own tasks. There the threads of a BLAS, as many as the
machine has cores, wait for each other in busy loops: on two cores with two other processes at work, inverting a matrix
of 333 x 333 took 1.8 s with two threads and 0.008 s with one.
"""

from __future__ import annotations

import scipy.linalg  # noqa: F401  before the controller: it knows the libraries that are loaded when it is made
from threadpoolctl import ThreadpoolController

one_blas_thread = ThreadpoolController().wrap(limits=1, user_api="blas")
