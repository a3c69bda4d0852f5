"""Hostile model folders and run descriptions. The folder changed is GANGMU_MODEL, else models/gangmu."""

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gangmu.checkpoint import checkpoint_hash, write_sums
from gangmu.doctor import model_folder
from gangmu.errors import GangmuError
from gangmu.labeller import load
from tests.hostile.attack import CANARY, SECRET, Attack, Outcome
from train.config import RunConfig
from train.description import load_config

Change = Callable[[Path], object]
LOADED = "loaded"
FOREIGN = (
    "# the attacker's own architecture\nfrom pathlib import Path\nPath(__file__).with_name('canary').write_text('x')\n"
)


class Bomb:
    """Writes the canary where it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.write_text, (self.folder / CANARY, "x")


def _model(change: Change, sums: bool = True) -> Change:
    """Copy the model and change it; `sums`: the attacker rewrites SHA256SUMS, which anybody can."""

    def build(folder: Path) -> None:
        model = Path(shutil.copytree(model_folder(None), folder / "model"))
        change(model)
        if sums:
            write_sums(model)

    return build


def _loading(folder: Path) -> Outcome:
    try:
        load(folder / "model")
    except GangmuError as error:
        return [], [str(error)]
    return [LOADED], []


def _loading_named(folder: Path) -> Outcome:
    """Load with the hash that the owner of the model told."""
    try:
        load(folder / "model", sha256=checkpoint_hash(model_folder(None)))
    except GangmuError as error:
        return [], [str(error)]
    return [LOADED], []


def _pickle(name: str) -> Change:
    return lambda model: (model / name).write_bytes(pickle.dumps(Bomb(model)))


def _pickled_weights(model: Path) -> None:
    (model / "model.safetensors").unlink()
    _pickle("pytorch_model.bin")(model)


def _config(**values: object) -> Change:
    def change(model: Path) -> None:
        path = model / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | values), encoding="utf-8")

    return change


def _foreign_code(model: Path) -> None:
    (model / "modeling_evil.py").write_text(FOREIGN, encoding="utf-8")
    _config(auto_map={"AutoModelForTokenClassification": "modeling_evil.Evil"}, model_type="evil")(model)


def _bytes(name: str, content: bytes) -> Change:
    return lambda model: (model / name).write_bytes(content)


def _cut(model: Path) -> None:
    weights = model / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])


def _flip(model: Path) -> None:
    content = bytearray((model / "model.safetensors").read_bytes())
    content[-1000] ^= 1
    (model / "model.safetensors").write_bytes(content)


def _endless(model: Path) -> None:
    (model / "model.safetensors").unlink()
    (model / "model.safetensors").symlink_to("/dev/zero")


def _outside(model: Path) -> None:
    with (model / "SHA256SUMS").open("a", encoding="utf-8") as sums:
        sums.write("0" * 64 + "  ../../../etc/passwd\n")


def _described(content: Callable[[], str]) -> Change:
    return lambda folder: (folder / "x.yaml").write_text(content(), encoding="utf-8")


def _configuring(folder: Path) -> Outcome:
    try:
        load_config(folder / "x.yaml", [], RunConfig)
    except GangmuError as error:
        return [], [str(error)]
    return [LOADED], []


def _aliases() -> str:
    return "a0: &a0 x\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9))


DEEP = b'{"a":' * 100_000
HEADER = (1 << 40).to_bytes(8, "little") + b"{}"
MODELS = [
    ("pickled weights", _model(_pickled_weights), "no model.safetensors", ""),
    (
        "a pickle beside the weights",
        _model(_pickle("pytorch_model.bin"), sums=False),
        "pytorch_model.bin: not listed",
        "",
    ),
    ("a listed pickle", _model(_pickle("training_args.bin")), "", LOADED),
    ("its own architecture", _model(_foreign_code), "auto_map", ""),
    (
        "a kernel from a hub, CVE-2026-4372",
        _model(_config(_attn_implementation_internal="evil/kernel")),
        "would load code",
        "",
    ),
    ("a kernel from a hub, by name", _model(_config(attn_implementation="evil/kernel")), "would load code", ""),
    ("a quantizer", _model(_config(quantization_config={"quant_method": "evil"})), "would load code", ""),
    ("a vocabulary of 10^12", _model(_config(vocab_size=10**12)), "too large", ""),
    ("sizes that do not fit", _model(_config(hidden_size=10**6)), "cannot be loaded", ""),
    ("10^9 layers", _model(_config(num_hidden_layers=10**9)), "too large", ""),
    ("weights cut off", _model(_cut), "cannot be loaded", ""),
    ("a header of 1 TiB", _model(_bytes("model.safetensors", HEADER)), "cannot be loaded", ""),
    ("a flipped byte", _model(_flip, sums=False), "model.safetensors: sha256", ""),
    ("weights without an end", _model(_endless, sums=False), "no model.safetensors", ""),
    ("a checksum of a file outside", _model(_outside, sums=False), "expected 'sha256", ""),
    ("config.json 100 000 deep", _model(_bytes("config.json", DEEP)), "config.json", ""),
    ("tokenizer.json 100 000 deep", _model(_bytes("tokenizer.json", DEEP)), "tokenizer.json", ""),
    ("settings.json 100 000 deep", _model(_bytes("settings.json", DEEP)), "settings.json", ""),
    ("decision.json 100 000 deep", _model(_bytes("decision.json", DEEP)), "decision.json", ""),
]
ATTACKS = [Attack(f"model: {name}", build, refused, kept, run=_loading) for name, build, refused, kept in MODELS]
ATTACKS += [Attack("model: weights and checksums changed", _model(_flip), "its hash is", run=_loading_named)]
ATTACKS += [
    Attack(f"yaml: {name}", _described(content), refused, run=_configuring)
    for name, content, refused in [
        ("an object", lambda: f"name: !!python/object/apply:os.mkdir [{CANARY}]", "could not determine a constructor"),
        ("aliases of aliases", _aliases, "aliases are not allowed"),
        ("lists 30 000 deep", lambda: "[" * 30_000, "not YAML"),
        ("a key twice", lambda: f"name: x\nname: {SECRET[:2]}", "stands twice"),
        ("unknown keys", lambda: "name: x\ncallback: os.system", "callback: Extra inputs"),
        ("2 MB", lambda: "# " + "x" * 2_000_000, "at most"),
        ("a million numbers", lambda: f"name: [{'1,' * 500_000}]", "at most"),
        ("a list as large as allowed", lambda: f"name: [{'1,' * 16_000}]", "name"),
        ("a name that leads out", lambda: "name: ../../evil", "name: String should match"),
        ("nothing", lambda: "", "expected sections"),
    ]
]
