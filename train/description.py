"""YAML and overrides -> run descriptions of `train.config`. Every mistake of a file is reported at once."""

import re
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from gangmu.errors import UsageError
from train.config import Section

SIZE_LIMIT = 1 << 15
"""Bytes of a run description at most, many times configs/base.yaml; PyYAML takes 26 s for 1 MB of numbers."""
ConfigType = TypeVar("ConfigType", bound=Section)


class _Loader(yaml.SafeLoader):
    """SafeLoader that reads 2e-5 as a number, collects doubled keys and refuses aliases."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.doubled: list[str] = []

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark
            raise yaml.constructor.ConstructorError(None, None, "aliases are not allowed; write the value out", mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen: dict[Any, int] = {}
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            mark = key_node.start_mark
            if key in seen:
                place = f"line {mark.line + 1}, column {mark.column + 1}"
                self.doubled.append(f"{place}: key {key!r} stands twice, first in line {seen[key]}; keep one")
            seen[key] = mark.line + 1
        return super().construct_mapping(node, deep)


# YAML 1.1 takes 2e-5 for text, and the Trainer then keeps the text (LLaMA-Factory issue 4014, TRL issue 1450).
NUMBER = re.compile(r"^[-+]?[0-9][0-9_]*(\.[0-9]*)?[eE][-+]?[0-9]+$")
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", NUMBER, list("-+0123456789"))


def load_config(path: Path, overrides: list[str], kind: type[ConfigType]) -> ConfigType:
    """Return the run description at `path` with `section.key=value` overrides; UsageError lists every mistake.

    `extends: FILE` takes what is not given here from another file beside it, one level deep.
    """
    values, faults = _read(path)
    if base := values.pop("extends", None):
        below, more = _read(path.parent / str(base))
        faults += more
        if "extends" in below:
            faults.append(f"  extends: {base} extends {below.pop('extends')} itself; one level only")
        values = _merged(below, values)
    for override in overrides:
        values = _merged(values, _parsed(override))
    try:
        config = kind.model_validate(values)
    except ValidationError as error:
        faults += [f"  {'.'.join(map(str, e['loc']))}: {e['msg']} (got {_shown(e['input'])})" for e in error.errors()]
    if faults:
        raise UsageError("\n".join([f"{path} is not a valid run description:", *faults]))
    return config


def _read(path: Path) -> tuple[dict[str, Any], list[str]]:
    """Return the values of a file and a line for each key that stands in it twice."""
    try:
        if path.stat().st_size > SIZE_LIMIT:
            raise UsageError(f"{path}: {path.stat().st_size} bytes; a run description has at most {SIZE_LIMIT}")
        loader = _Loader(path.read_text(encoding="utf-8"))
        values = loader.get_single_data()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}; `ls configs` shows the run descriptions there are") from error
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise UsageError(f"{path}: not YAML that can be read: {_place(error)}") from error
    if not isinstance(values, dict):
        raise UsageError(f"{path}: expected sections with keys, found {_shown(values)}")
    return values, [f"  {path.name}, {doubled}" for doubled in loader.doubled]


def _place(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    return where + str(getattr(error, "problem", None) or error)


def _parsed(override: str) -> dict[str, Any]:
    """Return {"training": {"epochs": 1}} for "training.epochs=1"."""
    key, separator, text = override.partition("=")
    if not separator or not all(key.split(".")):
        raise UsageError(f"override {override!r}: expected section.key=value, such as training.epochs=1")
    try:
        value = _Loader(text).get_single_data()
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise UsageError(f"override {override!r}: {_place(error)}") from error
    for part in reversed(key.split(".")):
        value = {part: value}
    return dict(value)


def _merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = _merged(below, value) if isinstance(value, dict) and isinstance(below, dict) else value
    return merged


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
