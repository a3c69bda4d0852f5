from pathlib import Path

import pytest
import yaml

from gangmu.errors import UsageError
from train.config import PretrainConfig, RunConfig
from train.description import load_config

ROOT = Path(__file__).parent.parent.parent
CONFIGS = ROOT / "configs"


def message(path: Path, overrides: list[str]) -> str:
    with pytest.raises(UsageError) as error:
        load_config(path, overrides, RunConfig)
    return str(error.value)


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda p: p.name)
def test_every_shipped_run_loads(path: Path) -> None:
    assert load_config(path, [], RunConfig).name == path.stem


@pytest.mark.parametrize("path", sorted((CONFIGS / "pretrain").glob("*.yaml")), ids=lambda p: p.name)
def test_every_shipped_pretraining_loads(path: Path) -> None:
    load_config(path, [], PretrainConfig)


def test_base_gives_every_key() -> None:
    values = yaml.safe_load((CONFIGS / "base.yaml").read_text(encoding="utf-8"))
    for section, field in RunConfig.model_fields.items():
        wanted = getattr(field.annotation, "model_fields", {})
        assert section in values
        assert set(wanted) == set(values[section]) if wanted else True


def test_overrides_and_inheritance() -> None:
    config = load_config(CONFIGS / "debug.yaml", ["training.learning_rate=2e-5", "name=x"], RunConfig)
    assert config.training.learning_rate == 2e-5
    base = load_config(CONFIGS / "base.yaml", [], RunConfig)
    assert (config.name, config.training.max_steps) == ("x", 2)
    assert (config.training.batch_size, config.text) == (base.training.batch_size, base.text)


def test_all_mistakes_are_reported_at_once_with_their_keys(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(
        "extends: " + str(CONFIGS / "base.yaml") + "\ntraining: {epochs: two, lr: 1, seed: true}\nmodell: x\n"
    )
    found = message(path, ["text.window=4"])
    assert found.startswith(f"{path} is not a valid run description:")
    for words in (
        "training.epochs: Input should be a valid integer",
        "(got 'two')",
        "training.lr: Extra inputs",
        "training.seed",
        "modell: Extra inputs",
        "text.window",
    ):
        assert words in found


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\na: 2\n", "x.yaml, line 2, column 1: key 'a' stands twice, first in line 1"),
        ("a: 1\na: 2\n", "training: Field required"),
        ("? [a]\n: 1\n", "not YAML that can be read"),
        ("a: 2026-99-99\n", "not YAML that can be read"),
        ("a: &x [1]\nb: *x\n", "line 2, column 4: aliases are not allowed"),
        ("a: [1\n", "line 2"),
        ("a: !!python/object/apply:os.system ['true']\n", "could not determine a constructor"),
        ("- 1\n", "expected sections with keys"),
        ("a: " + "[" * 3000, "not YAML that can be read"),
    ],
)
def test_a_file_that_is_no_description_is_refused_with_its_place(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(text)
    assert words in message(path, [])


def test_missing_file_and_bad_override(tmp_path: Path) -> None:
    assert "No such file" in message(tmp_path / "x.yaml", [])
    assert "expected section.key=value" in message(CONFIGS / "base.yaml", ["epochs"])


@pytest.mark.parametrize(
    "override", ["name=..", "name=.", "name=a/b", "training.weight_decay=.inf", "training.warmup=no"]
)
def test_values_that_would_do_harm_are_refused(override: str) -> None:
    assert override.partition("=")[0] in message(CONFIGS / "base.yaml", [override])


def test_extends_goes_one_level_deep(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text("extends: c.yaml\n")
    (tmp_path / "a.yaml").write_text("extends: b.yaml\n")
    assert "one level only" in message(tmp_path / "a.yaml", [])
