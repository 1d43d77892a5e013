"""What follows an attempt: alchemiscale's restart patterns, free slices, counted retries."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xpm_alchem.execution.attempt_log import AttemptLog
from xpm_alchem.execution.attempts import Attempt, Outcome
from xpm_alchem.execution.processes import ProcessIdentity
from xpm_alchem.failures.restarts import DONE, RESUME, STOP, WAIT, RestartPolicy, pause_after
from xpm_alchem.failures.restarts import decide as decide_by
from xpm_alchem.plan.default_rules import RULES
from xpm_alchem.plan.restart_patterns import RestartPattern

ME = ProcessIdentity("here", 1, 0.0)
CUDA, DISK = RestartPattern("CUDA", 2), RestartPattern("No space", 1)


def attempts(*endings) -> list[Attempt]:
    """Return a history: each ending an outcome, (outcome, progress), or the text of an error's traceback."""
    history = []
    for number, ending in enumerate(endings, start=1):
        outcome, progress, traceback, decision = ending, False, None, None
        if isinstance(ending, tuple):
            outcome, progress = ending
        elif isinstance(ending, str) and not isinstance(ending, Outcome):
            outcome, traceback = Outcome.ERROR, ending
        elif isinstance(ending, list):
            outcome, decision = ending[0], "retry"
        history.append(
            Attempt(number, ME, 0.0, 1.0, outcome, traceback=traceback, progress=progress, decision=decision)
        )
    return history


def decide(history, *, max_retries=3, patterns=(), rules=(), another_complete=False):
    return decide_by(
        history, RestartPolicy(max_retries, tuple(patterns), tuple(rules)), another_complete=another_complete
    )


def what(*endings, max_retries=3, patterns=()) -> str:
    return decide(attempts(*endings), max_retries=max_retries, patterns=patterns).what


def test_a_task_without_attempts_is_to_be_run():
    assert decide([], max_retries=0).what == RESUME


def test_an_attempt_at_work_is_waited_for():
    assert what(None) == WAIT


def test_a_complete_task_is_done():
    assert what("CUDA", Outcome.LOST, Outcome.COMPLETE, max_retries=0) == DONE


# ------------------------------------------------------------------------------------------------ restart patterns
def test_allowed_n_means_n_restarts():
    for failures, expected in [(1, RESUME), (2, RESUME), (3, STOP)]:
        assert what(*["CUDA error"] * failures, patterns=[CUDA]) == expected


def test_without_patterns_an_error_stops_the_task():
    assert what("CUDA error") == STOP


def test_an_error_that_no_pattern_matches_stops_the_task():
    decision = decide(attempts("ValueError: nan"), max_retries=9, patterns=[CUDA, DISK])
    assert (decision.what, decision.reason) == (STOP, "an error that no restart pattern matches")


def test_each_matching_pattern_is_counted_and_any_used_up_one_stops():
    both = "CUDA: No space left"
    assert what(both, patterns=[CUDA, DISK]) == RESUME
    decision = decide(attempts(both, both), max_retries=9, patterns=[CUDA, DISK])
    assert (decision.what, decision.reason) == (STOP, "the restart pattern 'No space' is used up (1 restarts)")


def test_a_used_up_pattern_that_does_not_match_is_ignored():
    assert what("No space", "No space", "CUDA", patterns=[CUDA, DISK]) == RESUME


def test_errors_are_counted_over_the_whole_history_not_in_a_row():
    assert what("CUDA", (Outcome.TIMEOUT, True), "CUDA", Outcome.LOST, "CUDA", patterns=[CUDA]) == STOP


def test_progress_does_not_set_back_the_count_of_errors():
    history = attempts("CUDA", "CUDA", "CUDA")
    history = [Attempt(a.number, ME, 0.0, 1.0, a.outcome, traceback=a.traceback, progress=True) for a in history]
    assert decide(history, max_retries=9, patterns=[CUDA]).what == STOP


def test_patterns_are_searched_anywhere_without_flags():
    pattern = RestartPattern("^CUDA", 5)
    assert what("CUDA error", patterns=[pattern]) == RESUME
    assert what("line\nCUDA error", patterns=[pattern]) == STOP  # no re.MULTILINE
    assert what("a cuda error", patterns=[RestartPattern("CUDA", 5)]) == STOP
    assert what("deep inside: CUDA_ERROR_42", patterns=[RestartPattern(r"CUDA_ERROR_\d+", 5)]) == RESUME


def test_an_error_without_a_traceback_is_matched_by_its_reason():
    history = [Attempt(1, ME, 0.0, 1.0, Outcome.ERROR, reason="CUDA died")]
    assert decide(history, max_retries=0, patterns=[CUDA]).what == RESUME


def test_errors_do_not_use_up_retries():
    assert what("CUDA", "CUDA", Outcome.LOST, max_retries=1, patterns=[CUDA]) == RESUME


# ---------------------------------------------------------------------------------------------------- max_retries
COUNTED = [o for o in Outcome if o not in (Outcome.COMPLETE, Outcome.ERROR)]


@pytest.mark.parametrize("outcome", COUNTED)
def test_n_retries_means_n_after_the_first_attempt(outcome):
    assert [what(*[outcome] * n, max_retries=2) for n in (1, 2, 3)] == [RESUME, RESUME, STOP]


@pytest.mark.parametrize("outcome", COUNTED)
def test_without_retries_the_first_loss_stops(outcome):
    assert what(outcome, max_retries=0) == STOP


def test_slices_are_free_even_without_retries():
    assert what(*[(Outcome.TIMEOUT, True)] * 50, max_retries=0) == RESUME


def test_progress_sets_the_count_back():
    assert what(Outcome.LOST, Outcome.LOST, (Outcome.LOST, True), max_retries=2) == RESUME
    assert (
        what(Outcome.LOST, Outcome.LOST, (Outcome.TIMEOUT, True), Outcome.LOST, Outcome.LOST, max_retries=2) == RESUME
    )


def test_an_attempt_with_progress_that_was_lost_counts_itself():
    assert what((Outcome.LOST, True), max_retries=0) == STOP
    assert decide(attempts((Outcome.LOST, True)), max_retries=2).reason == "a lost attempt: retry 1 of 2"


def test_the_reason_names_what_happened_and_how_many_retries_are_used():
    decision = decide(attempts(*[Outcome.NODE_FAILURE] * 2), max_retries=3)
    assert decision.reason == "a node failure: retry 2 of 3"
    decision = decide(attempts(*[Outcome.NODE_FAILURE] * 2), max_retries=1)
    assert decision.reason == "a node failure, and 1 retries (max_retries) without progress are used up"


def test_a_user_s_retry_begins_a_new_count():
    assert what("CUDA", "CUDA", ["CUDA"], patterns=[CUDA]) == RESUME
    assert what(*[Outcome.LOST] * 3, [Outcome.LOST], Outcome.LOST, max_retries=1) == RESUME
    assert what([Outcome.ERROR]) == RESUME


def test_the_decision_of_a_user_survives_the_journal(tmp_path):
    log = AttemptLog(tmp_path / "attempts.jsonl")
    log.end(log.start(limit=None, versions={}), Outcome.ERROR, traceback="nan")
    assert decide(log.read(), max_retries=3).what == STOP
    log.decide(log.read()[-1], "retry", "the user asked for it")
    assert decide(log.read(), max_retries=3).what == RESUME


def test_an_attempt_that_never_began_is_in_the_history(tmp_path):
    log = AttemptLog(tmp_path / "attempts.jsonl")
    log.never_began(Outcome.ERROR, "ImportError", "Traceback: ImportError", since=5.0)
    (attempt,) = log.read()
    assert (attempt.number, attempt.outcome, attempt.start, attempt.progress) == (1, Outcome.ERROR, 5.0, False)
    assert decide([attempt], max_retries=0, patterns=[RestartPattern("ImportError", 1)]).what == RESUME


# ------------------------------------------------------------------------------------------------- a second opinion
def model(history: list[Attempt], max_retries: int, patterns: list[RestartPattern]) -> str:
    """Say the same in other words: walk forward with counters, as a user would on paper."""
    lost, errors, verdict = 0, [0] * len(patterns), RESUME
    for attempt in history:
        if attempt.progress:
            lost = 0
        if attempt.outcome is Outcome.COMPLETE:
            verdict = DONE
        elif attempt.outcome is None:
            verdict = WAIT
        elif attempt.outcome is Outcome.TIMEOUT and attempt.progress:
            verdict = RESUME
        else:
            texts = [attempt.traceback, f"outcome: {attempt.outcome}"]
            hits = [i for i, one in enumerate(patterns) if any(re.search(one.pattern, text) for text in texts)]
            for i in hits:
                errors[i] += 1
            lost += attempt.outcome is not Outcome.ERROR
            if hits:
                verdict = RESUME if all(errors[i] <= patterns[i].allowed for i in hits) else STOP
            else:
                verdict = RESUME if attempt.outcome is not Outcome.ERROR and lost <= max_retries else STOP
        if attempt.decision == "retry":
            lost, errors, verdict = 0, [0] * len(patterns), RESUME
    return verdict


ATTEMPTS = st.builds(
    Attempt,
    number=st.just(1),
    process=st.just(ME),
    start=st.just(0.0),
    outcome=st.sampled_from([*Outcome, None, Outcome.ERROR, Outcome.TIMEOUT]),
    traceback=st.sampled_from(["", "a", "b", "ab", "c"]),
    progress=st.booleans(),
    decision=st.sampled_from([None, None, None, "resume", "stop", "retry"]),
)
PATTERNS = st.lists(
    st.builds(RestartPattern, st.sampled_from(["a", "b", "^ab$", "^c|b", "outcome: lost"]), st.integers(1, 3)),
    max_size=3,
)


@settings(deadline=None, derandomize=True, max_examples=500)
@given(history=st.lists(ATTEMPTS, max_size=10), max_retries=st.integers(0, 3), patterns=PATTERNS)
def test_decide_agrees_with_the_model_on_any_history(history, max_retries, patterns):
    assert decide(history, max_retries=max_retries, patterns=patterns).what == model(history, max_retries, patterns)


# ------------------------------------------------------------------------------- beyond tracebacks, and from scratch
def failed(outcome, **facts) -> Attempt:
    return Attempt(1, ME, 0.0, 1.0, outcome, **facts)


@pytest.mark.parametrize(
    ("pattern", "attempt"),
    [
        ("ValueError: bad", failed(Outcome.ERROR, traceback="Traceback ...\nValueError: bad")),
        ("^outcome: out of memory$", failed(Outcome.OUT_OF_MEMORY)),
        ("NODE_FAIL", failed(Outcome.NODE_FAILURE, reason="SLURM says NODE_FAIL")),
        ("Segmentation", failed(Outcome.LOST, stderr="... Segmentation fault (core dumped)")),
    ],
)
def test_patterns_are_searched_in_traceback_outcome_reason_and_stderr(pattern, attempt):
    with_it = decide([attempt], max_retries=0, patterns=[RestartPattern(pattern, 1)])
    assert with_it.what == RESUME and "1 of 1" in with_it.reason
    assert decide([attempt], max_retries=0).what == STOP


def test_a_pattern_that_is_used_up_stops_a_lost_task_before_max_retries_does():
    lost = RestartPattern("outcome: lost", 1)
    assert what(Outcome.LOST, max_retries=9, patterns=[lost]) == RESUME
    assert what(Outcome.LOST, Outcome.LOST, max_retries=9, patterns=[lost]) == STOP


def test_slices_and_ordered_stops_are_no_failures():
    anything = RestartPattern("outcome", 1)
    assert what((Outcome.TIMEOUT, True), "boom", patterns=[anything]) == RESUME
    stopped = Attempt(1, ME, 0.0, 1.0, Outcome.CANCELLED, decision="stopped")
    assert decide([stopped, *attempts("boom")], patterns=[anything]).what == RESUME


def test_from_scratch_goes_with_the_pattern_that_matches():
    fresh, plain = RestartPattern("NaN", 2, from_scratch=True), RestartPattern("CUDA", 2)
    assert decide(attempts("NaN"), patterns=[fresh, plain]).from_scratch
    assert not decide(attempts("CUDA"), patterns=[fresh, plain]).from_scratch
    assert "from scratch" in decide(attempts("NaN"), patterns=[fresh, plain]).reason


# --------------------------------------------------------------------------------------------------- default rules
PASSING = [
    ("gpu", "openmm.OpenMMException: Error initializing CUDA: CUDA_ERROR_NO_DEVICE (100) at CudaContext.cpp:91"),
    ("gpu", "RuntimeError: CUDA error: all CUDA-capable devices are busy or unavailable"),
    ("gpu", "OpenMMException: Error launching CUDA compiler: CUDA_ERROR_LAUNCH_FAILED (719)"),
    ("gpu", "OpenMMException: clEnqueueNDRangeKernel: CL_OUT_OF_RESOURCES (-5)"),
    ("file-system", "OSError: [Errno 116] Stale file handle: '/scratch/x'"),
    ("file-system", "OSError: [Errno 5] Input/output error"),
    ("file-system", "TimeoutError: [Errno 110] Connection timed out"),
    ("file-system", "BlockingIOError: [Errno 11] Unable to synchronously open file (unable to lock file, errno = 11)"),
    ("licence", "OEChem: unable to checkout license for product oeomega"),
    ("licence", "FlexNet Licensing error:-15,570"),
    ("node", "ImportError: libOpenMM.so.8: cannot open shared object file: No such file or directory"),
    ("node", "OSError: [Errno 12] Cannot allocate memory"),
    ("nan", "openmm.OpenMMException: Particle coordinate is NaN.  For more information, see https://..."),
    ("nan", "openmmtools.multistate.utils.SimulationNaNError: Propagating replica 3 at state 4 resulted in a NaN!"),
    ("nan", "ValueError: Energy is NaN"),
]
LASTING = [
    "ValueError: unknown element in ligand_nanotube",
    "KeyError: 'nan_policy'",
    "FileNotFoundError: [Errno 2] No such file or directory: 'system.xml'",
    "OSError: [Errno 28] No space left on device",
    "ModuleNotFoundError: No module named 'openfe'",
    "AssertionError: license file has 12 lines",
    "ParameterLookupError: No bond parameters for C-N in the finance force field",
    "openmm.OpenMMException: No template found for residue 5 (LIG)",
    "RuntimeError: simulated failure",
]


@pytest.mark.parametrize(("name", "text"), PASSING)
def test_failures_that_are_known_to_pass_are_restarted(name, text):
    decision = decide(attempts(text), rules=RULES, another_complete=True)
    assert decision.what == RESUME
    assert f"default rule '{name}', 1 of" in decision.reason
    (rule,) = [rule for rule in RULES if rule.name == name]
    assert decide(attempts(*[text] * (rule.allowed + 1)), rules=RULES, another_complete=True).what == STOP
    assert decide(attempts(text), another_complete=True).what == STOP  # switched off


@pytest.mark.parametrize("text", LASTING)
def test_other_errors_are_not(text):
    assert decide(attempts(text), rules=RULES, another_complete=True).what == STOP


def test_a_nan_is_reproducible_until_another_repeat_has_succeeded():
    nan = attempts("Particle coordinate is NaN")
    alone = decide(nan, rules=RULES)
    assert alone.what == STOP and "reproducible" in alone.reason
    assert decide(nan, rules=RULES, another_complete=True).what == RESUME


def test_a_pattern_of_the_users_comes_before_the_rules():
    text = "CUDA_ERROR_NO_DEVICE"
    assert decide(attempts(text, text), rules=RULES, patterns=[RestartPattern("CUDA", 1)]).what == STOP
    assert decide(attempts(text, text), rules=RULES).what == RESUME


def test_what_is_printed_counts_for_a_rule_only_where_there_is_no_traceback():
    noise = failed(Outcome.ERROR, traceback="KeyError: 'x'", stderr="warning: Resource temporarily unavailable")
    assert decide([noise], rules=RULES).what == STOP
    silent = failed(Outcome.ERROR, stderr="ImportError: libX.so: cannot open shared object file")
    assert decide([silent], rules=RULES).what == RESUME


# ------------------------------------------------------------------------------------------------- pauses between tries
def test_the_pause_between_tries_that_get_nowhere_grows():
    assert [pause_after(attempts(*[Outcome.LOST] * n)) for n in range(6)] == [0.0, 0.0, 10.0, 60.0, 300.0, 300.0]


@pytest.mark.parametrize(
    ("endings", "seconds"),
    [
        ([Outcome.LOST, Outcome.LOST, (Outcome.LOST, True)], 0.0),
        ([Outcome.LOST, Outcome.LOST, (Outcome.LOST, True), Outcome.LOST], 10.0),
        ([Outcome.LOST, Outcome.LOST, (Outcome.TIMEOUT, True)], 0.0),
        ([Outcome.LOST, Outcome.LOST, (Outcome.TIMEOUT, True), Outcome.NODE_FAILURE], 0.0),
        ([Outcome.LOST, Outcome.LOST, [Outcome.LOST], Outcome.LOST], 0.0),
        (["CUDA", "CUDA", "CUDA"], 60.0),
    ],
)
def test_progress_slices_and_the_user_s_retry_set_the_pause_back(endings, seconds):
    assert pause_after(attempts(*endings)) == seconds
