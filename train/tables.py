"""Scores as tables for the terminal."""

from typing import Any

from rich.console import Console
from rich.table import Table

from gangmu.labels import NAMES

WIDTH = 150
MOST = 5
"""Slices of a key that are printed; more are in metrics.json and on the page only."""


def print_metrics(metrics: dict[str, Any], title: str) -> None:
    """Print slices, what the scores are worth as probabilities, and last the scores beside the baselines."""
    console = Console(width=max(WIDTH, Console().width), highlight=False)
    console.print(slices_table(metrics["slices"]))
    more = [f"{len(found)} by {name}" for name, found in metrics["slices"].items() if len(found) > MOST]
    if more:
        console.print(f"In metrics.json and on the page: {', '.join(more)}", style="dim")
    if metrics["calibration"]:
        _print_decision(console, metrics["calibration"], "Scores as probabilities")
    if metrics["promise"]:
        console.print(promise_text(metrics["promise"]))
    console.print(classes_table(metrics))
    console.print(scores_table(metrics, title))
    console.print(difference_text(metrics), style="bold")
    for note in metrics["notes"]:
        console.print(f"Note: {note}", style="yellow", markup=False)


def print_decision(figures: dict[str, Any], title: str) -> None:
    """Print what a decision is worth: figures of `cross_fitted`."""
    _print_decision(Console(width=max(120, Console().width)), figures, title)


def scores_table(metrics: dict[str, Any], title: str) -> Table:
    """Return the scores, the classifier first; the second line in a cell is its 95 % interval."""
    shown = _table(f"{title}: {metrics['reports']} reports, {metrics['sentences']} sentences")
    columns = ("macro-F1\nof the four", "gangmu is\nahead by", "accuracy", "kappa", "soft\nmacro-F1", "soft\naccuracy")
    for column in (*columns, "ECE"):
        shown.add_column(column, justify="right", no_wrap=True)
    for name, found in _rows(metrics):
        ahead = ranged(found["difference"], "macro_f1", "+.3f") if "difference" in found else ""
        cells = [ranged(found, "macro_f1"), ahead, ranged(found, "accuracy"), ranged(found, "kappa")]
        soft = [ranged(found["soft"], "macro_f1"), ranged(found["soft"], "accuracy")]
        shown.add_row(name, *cells, *soft, f"{found['ece']:.3f}" if "ece" in found else "")
    if seeds := metrics["seeds"]:
        cells = [spread(seeds["macro_f1"]), "", spread(seeds["accuracy"]), spread(seeds["kappa"]), "", ""]
        shown.add_row(f"mean of {len(seeds['checkpoints'])} seeds\nlowest, highest", *cells, spread(seeds["ece"]))
    return shown


def classes_table(metrics: dict[str, Any]) -> Table:
    """Return precision and recall of the classifier, F1 of all, and the number of sentences, by class."""
    shown = _table("by class")
    for name in NAMES:
        shown.add_column(name, justify="right", no_wrap=True)
    classes = metrics["model"]["per_class"]
    for score in ("precision", "recall"):
        shown.add_row(f"gangmu: {score}", *(f"{classes[name][score]:.3f}" for name in NAMES))
    for row, found in _rows(metrics):
        shown.add_row(f"{row}: F1", *(f"{found['per_class'][name]['f1']:.3f}" for name in NAMES))
    if seeds := metrics["seeds"]:
        shown.add_row("mean of seeds: F1", *(spread(seeds[f"f1_{name}"], " ") for name in NAMES))
    shown.add_row("sentences", *(str(classes[name]["support"]) for name in NAMES), style="dim")
    return shown


def _table(title: str) -> Table:
    shown = Table(title=title)
    shown.add_column("", min_width=24)
    return shown


def _rows(metrics: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [("gangmu", metrics["model"]), *metrics["baselines"].items()]


def slices_table(slices: dict[str, dict[str, dict[str, Any]]]) -> Table:
    """Return the scores by slice, with the size of each; a dash where a function has no sentence to find."""
    shown = _table("by slice")
    for column in ("reports", "sentences", "accuracy", "soft", "macro-F1", *(f"F1 (of)\n{name}" for name in NAMES)):
        shown.add_column(column, justify="right", no_wrap=True)
    for key, found in slices.items():
        if len(found) > MOST:
            continue
        for name, row in found.items():
            f1 = [f"{_number(row['f1'][label], '.2f')} ({row['support'][label]})" for label in NAMES]
            cells = [ranged(row, "accuracy"), f"{row['soft_accuracy']:.3f}", _number(row["macro_f1"], ".3f"), *f1]
            shown.add_row(f"{key}: {name}", str(row["reports"]), str(row["sentences"]), *cells)
        shown.add_section()
    return shown


def difference_text(metrics: dict[str, Any]) -> str:
    """Return the paired difference to the best baseline as a sentence."""
    name = metrics["best_baseline"]
    found = metrics["baselines"][name]["difference"]
    f1, accuracy = (ranged(found, key, "+.3f", " ") for key in ("macro_f1", "accuracy"))
    return f"Against the best baseline, {name}: macro-F1 {f1}, accuracy {accuracy}"


def promise_text(promise: dict[str, Any]) -> str:
    """Return as a sentence what became of the promise in decision.json."""
    words = f"decision.json promises at most {promise['risk']:.0%} error from a score of {promise['threshold']}"
    wrong = "" if promise["error"] is None else f", {promise['error']:.1%} of their labels are wrong"
    return f"{words}: {promise['coverage']:.1%} of the sentences reach it{wrong}"


def ranged(found: dict[str, Any], name: str, form: str = ".3f", line: str = "\n") -> str:
    """Return a score with its interval, where it has one.

    >>> ranged({"accuracy": 0.9, "accuracy_interval": [0.8, 0.95]}, "accuracy", line=" ")
    '0.900 (0.800, 0.950)'
    """
    shown, interval = format(found[name], form), found[f"{name}_interval"]
    return shown if interval is None else f"{shown}{line}({interval[0]:{form}}, {interval[1]:{form}})"


def spread(found: dict[str, Any], line: str = "\n") -> str:
    """Return mean, lowest and highest over seeds."""
    return f"{found['mean']:.3f}{line}({found['low']:.3f}, {found['high']:.3f})"


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _print_decision(console: Console, figures: dict[str, Any], title: str) -> None:
    names = {"macro_f1": "macro-F1", "accuracy": "accuracy", "ece": "ECE", "brier": "Brier", "log_loss": "log loss"}
    names |= {"aurc": "AURC", "error_at_80": "error at 80 % coverage"}
    shown = Table("", *names.values(), title=title)
    rows = {
        "no decision (temperature 1)": figures["raw"],
        "decision.json as it is": figures["current"],
        **{f"{name}, out of fold": found for name, found in figures["methods"].items()},
        "choice and fit, out of fold": figures["cross_fitted"],
    }
    for name, found in rows.items():
        shown.add_row(name, *(f"{found[key]:.4f}" for key in names))
    console.print(shown)
    decision = figures["decision"]
    shifts = ", ".join(f"{name} {value:+.2f}" for name, value in zip(NAMES, decision["bias"], strict=True))
    console.print(f"Chosen by out-of-fold log loss: {figures['method']}")
    console.print(f"Fitted on the whole file: temperature {decision['temperature']}; priors: {shifts}")
    promised = Table(
        "promised error", "threshold", "coverage", "error found", title="Abstention, out of fold, at 95 % confidence"
    )
    for row in figures["abstention"]:
        threshold = "none keeps it" if row["threshold"] is None else f"{row['threshold']:.2f}"
        error = "" if row["error"] is None else f"{row['error']:.1%}"
        promised.add_row(f"{row['risk']:.0%}", threshold, f"{row['coverage']:.1%}", error)
    console.print(promised)
    also = figures["also"]
    named = f"named from a score of {also['threshold']}" if also["threshold"] < 1 else "never named"
    found = f"precision {also['precision']:.2f}, recall {also['recall']:.2f}, F1 {also['f1']:.2f} of {also['support']}"
    console.print(f"Second function (also): {named}; out of fold {found}")
