"""Checkpoint folders: what must be in them, whether they are whole, how they are written."""

import hashlib
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gangmu.decision import Decision, load_decision
from gangmu.encoding import SPECIALS, WORDS_CLASS, Encoder
from gangmu.errors import CheckpointError
from gangmu.labels import NAMES
from gangmu.ngrams import NgramModel, load_ngrams
from gangmu.settings import TextSettings, load_settings

if TYPE_CHECKING:
    from transformers import PreTrainedModel

SUMS = "SHA256SUMS"
NGRAMS = "ngrams.safetensors"
CLASSIFIER_FILES = ("config.json", "model.safetensors", "tokenizer.json", "settings.json", "decision.json")
COMPILED = "compiled.json"
"""Of a folder that `gangmu compile` wrote, where MODEL_ONNX stands for config.json and the weights."""
MODEL_ONNX = "model.onnx"
COMPILED_FILES = (COMPILED, MODEL_ONNX, "tokenizer.json", "settings.json", "decision.json")
LOADABLE = {".json", ".onnx", ".safetensors", ".txt", ".model", ".py", ".bin", ".pt", ".pth", ".pkl", ".jinja"}
"""Files that a library may load without being asked; none may lie in the folder that SHA256SUMS does not list."""
ROLES = {f"{token.strip('[]').lower()}_token": token for token in SPECIALS}
CODE = ("auto_map", "custom_pipelines", "trust_remote_code", "quantization_config")
"""Keys of config.json that name code or libraries to load."""
LARGEST = 10_000_000
"""A number of config.json at most, and `MOST_LAYERS` of layers: a billion of them are built one by one."""
MOST_LAYERS = 1000
HOW_TO_GET = "`make train` writes one into runs/NAME/best"


@dataclass(frozen=True)
class Checkpoint:
    """A verified classifier folder, without its weights."""

    folder: Path
    name: str
    """Folder name and a short hash of the whole checkpoint: `gangmu@0123456789ab`."""
    settings: TextSettings
    decision: Decision
    encoder: Encoder
    ngrams: NgramModel | None = None
    """The linear model whose logits are added to the encoder's, where the checkpoint has one."""


def load_checkpoint(folder: Path, sha256: str | None = None) -> Checkpoint:
    """Return the classifier at `folder` once every file matches SHA256SUMS; CheckpointError says what does not.

    SHA256SUMS finds damage, not tampering: who changes the files can change it too. With `sha256`, its own hash as
    `checkpoint_hash` tells it, the folder must be the one that had this hash.
    """
    if not folder.is_dir():
        raise CheckpointError(f"{folder}: no such folder; give --model a checkpoint folder ({HOW_TO_GET})")
    compiled = (folder / COMPILED).is_file()
    needed = COMPILED_FILES if compiled else CLASSIFIER_FILES
    if missing := [name for name in (*needed, SUMS) if not (folder / name).is_file()]:
        raise CheckpointError(f"{folder}: not a Gangmu classifier: no {', '.join(missing)} ({HOW_TO_GET})")
    found = checkpoint_hash(folder)
    if sha256 is not None and found != sha256.lower():
        raise CheckpointError(f"{folder}: its hash is {found}, not {sha256}: this is another model, or it was changed")
    verify(folder)
    settings = load_settings(folder / "settings.json")
    labels = settings.labels if compiled else _labels(folder / "config.json")
    if labels != settings.labels:
        raise CheckpointError(
            f"{folder}: config.json has the labels {list(labels)}, settings.json {list(settings.labels)}"
        )
    name = _compiled_name(folder / COMPILED) if compiled else f"{folder.resolve().name}@{found[:12]}"
    decision, ngrams = load_decision(folder / "decision.json"), load_ngrams(folder / NGRAMS)
    return Checkpoint(folder, name, settings, decision, Encoder.load(folder), ngrams)


def _compiled_name(path: Path) -> str:
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["name"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise CheckpointError(f"{path}: not of this version; compile the checkpoint again: {error!r}") from None


def checkpoint_hash(folder: Path) -> str:
    """Return the SHA-256 of the checkpoint's SHA256SUMS, which covers every file."""
    return hashlib.sha256((folder / SUMS).read_bytes()).hexdigest()


def verify(folder: Path) -> None:
    """Raise CheckpointError naming every file of `folder` that its SHA256SUMS does not confirm.

    safetensors itself loads a flipped byte without a word (FACTS.md section 0, finding 9).
    """
    faults = []
    listed = set()
    for number, line in enumerate((folder / SUMS).read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        expected, _, name = line.partition("  ")
        if not name or Path(name).name != name:
            raise CheckpointError(f"{folder / SUMS}:{number}: expected 'sha256  file name', found {line[:80]!r}")
        listed.add(name)
        path = folder / name
        if not path.is_file():
            faults.append(f"  {name}: missing")
        elif (found := file_hash(path)) != expected:
            faults.append(f"  {name}: sha256 {found[:16]}…, expected {expected[:16]}…")
    loadable = {path.name for path in folder.iterdir() if path.suffix in LOADABLE}
    faults += [f"  {name}: not listed" for name in sorted(loadable - listed)]
    if faults:
        lines = [f"{folder}: files do not match {SUMS}; copy or train the checkpoint again:", *faults]
        raise CheckpointError("\n".join(lines))


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file as hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_sums(folder: Path) -> None:
    """Write SHA256SUMS over every other file of `folder`; always the last step of saving."""
    names = sorted(path.name for path in folder.iterdir() if path.is_file() and path.name != SUMS)
    lines = [f"{file_hash(folder / name)}  {name}\n" for name in names]
    (folder / SUMS).write_text("".join(lines), encoding="utf-8")


def save_model(model: "PreTrainedModel", tokenizer_folder: Path, folder: Path) -> None:
    """Write weights as fp16 and the tokenizer's files, so that plain `from_pretrained` computes in fp32."""
    from safetensors.torch import save_file
    from torch import float16

    folder.mkdir(parents=True, exist_ok=True)
    seen: set[int] = set()
    tensors = {}
    for name, tensor in model.state_dict().items():
        if tensor.data_ptr() in seen:
            continue  # an output layer tied to the embeddings is tied again on load
        seen.add(tensor.data_ptr())
        tensors[name] = tensor.detach().to("cpu", float16 if tensor.is_floating_point() else None).contiguous()
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    config = model.config.to_diff_dict() | {"dtype": "float32", "architectures": [type(model).__name__]}
    _write_json(folder / "config.json", config)
    copy_tokenizer(tokenizer_folder, folder)


def copy_tokenizer(source: Path, folder: Path) -> None:
    """Write tokenizer.json, tokenizer_config.json and vocab.txt, which transformers 5 no longer writes."""
    encoder = Encoder.load(source)
    encoder.tokenizer.save(str(folder / "tokenizer.json"))
    # transformers would make characters of words again
    config = {"tokenizer_class": WORDS_CLASS if encoder.words else "BertTokenizer", "do_lower_case": True}
    if (source / "tokenizer_config.json").is_file():
        config = json.loads((source / "tokenizer_config.json").read_text(encoding="utf-8"))
    _write_json(folder / "tokenizer_config.json", ROLES | config)  # without them AutoTokenizer knows no padding
    ids = encoder.tokenizer.get_vocab(with_added_tokens=True)
    vocabulary = "".join(f"{token}\n" for token in sorted(ids, key=ids.__getitem__))
    (folder / "vocab.txt").write_text(vocabulary, encoding="utf-8")


def save_texts(folder: Path, settings: TextSettings, decision: Decision, card: str) -> None:
    """Write settings.json, decision.json and the card, then SHA256SUMS."""
    _write_json(folder / "settings.json", settings.model_dump(mode="json"))
    _write_json(folder / "decision.json", decision.model_dump(mode="json"))
    (folder / "README.md").write_text(card, encoding="utf-8")
    write_sums(folder)


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Yield an empty folder beside `target` that takes its place when the block ends without an error."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as beside:
        part, old = Path(beside, "part"), Path(beside, "old")
        part.mkdir()
        yield part
        if target.exists():
            target.replace(old)
        part.replace(target)


def _labels(path: Path) -> tuple[str, ...]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        names = config["id2label"]
        _refuse_hostile(path, config)
        return tuple(names[str(index)] for index in range(len(names)))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise CheckpointError(f"{path}: no id2label with the labels {', '.join(NAMES)}: {error!r}") from None


def _refuse_hostile(path: Path, config: dict[str, Any]) -> None:
    """Raise CheckpointError when a configuration asks for code, its own or an attention kernel from a hub, or too much.

    transformers before 5.3 ran the kernel without asking (CVE-2026-4372).
    """
    kernels = [key for key, value in config.items() if "attn_implementation" in key and "/" in str(value)]
    if asked := [key for key in config if key in CODE] + kernels:
        raise CheckpointError(f"{path}: {', '.join(asked)} would load code; only the architectures of transformers run")
    for key, value in config.items():
        if isinstance(value, int) and value > (MOST_LAYERS if "layers" in key else LARGEST):
            raise CheckpointError(f"{path}: {key} {value} is too large for a model of sentences")


def _write_json(path: Path, values: object) -> None:
    path.write_text(json.dumps(values, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
