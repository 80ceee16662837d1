"""Optuna: four processes run the trials of one study.

The study is created before: processes that create Optuna's tables at once fail on every database, SQLite as well.
"""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import Any

import optuna

WORKERS = 4
TRIALS = 90


def run(url: str, folder: Path) -> dict[str, Any]:
    """Return whether each worker lived, and what the study contains."""
    context = multiprocessing.get_context("spawn")
    optuna.create_study(study_name="study", storage=url)
    workers = [context.Process(target=work, args=(url,)) for _ in range(WORKERS)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    study = optuna.load_study(study_name="study", storage=url)
    trials = study.get_trials()
    return {
        "exit statuses": [worker.exitcode for worker in workers],
        "complete": sum(trial.state is optuna.trial.TrialState.COMPLETE for trial in trials) >= TRIALS,
        "numbered without gaps": [trial.number for trial in trials] == list(range(len(trials))),
        "each with its values": all(set(trial.params) == {"x", "y"} and trial.user_attrs["seen"] for trial in trials),
        "best": study.best_value == min(trial.value for trial in trials),
        "importance": sorted(optuna.importance.get_param_importances(study)),
        "intermediate values": sorted({len(trial.intermediate_values) for trial in trials}),
    }


def work(url: str) -> None:
    """Run trials until the study has enough."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.load_study(study_name="study", storage=url)
    enough = optuna.study.MaxTrialsCallback(TRIALS, states=(optuna.trial.TrialState.COMPLETE,))
    study.optimize(objective, callbacks=[enough])


def objective(trial: optuna.Trial) -> float:
    """A sum of squares, in three steps."""
    x, y = trial.suggest_float("x", -10, 10), trial.suggest_int("y", -10, 10)
    for step in range(3):
        trial.report(x * x + step, step)
    trial.set_user_attr("seen", True)
    return x * x + y * y
