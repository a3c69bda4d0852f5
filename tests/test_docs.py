"""What the documents show is run."""

import re
from pathlib import Path

import pandas
import pytest

ROOT = Path(__file__).parent.parent


def test_the_recipe_for_spark_labels_frames(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (ROOT / "docs/bulk.md").read_text(encoding="utf-8")
    found = re.search(r"## Spark\n```python\n(.*?)```", page, re.DOTALL)
    assert found
    names: dict[str, object] = {}
    exec(found[1].replace("models/gangmu", str(checkpoint)).replace('"auto"', '"torch"'), names)
    batch = pandas.DataFrame({"id": ["甲", "乙"], "text": ["要健全联席会议制度；大家要奋勇争先。", "会议召开。"]})
    (rows,) = names["label"](iter([batch]))  # type: ignore[operator]
    assert rows["report"].tolist() == ["甲", "甲", "乙"]
    assert rows["label"].tolist()[:2] == ["mechanism", "exhortation"]
    assert list(rows.columns) == [column.split()[0] for column in str(names["SCHEMA"]).split(", ")]
