"""Pictures for documents: the same file from the same figures, drawn without a screen."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def drawing(path: Path, rows: int = 1, columns: int = 1, **options: Any) -> Iterator[Any]:
    """Yield matplotlib's axes, as `pyplot.subplots` shapes them; at the end they are at `path`."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(rows, columns, layout="constrained", **options)
    yield axes
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
