import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = sorted(path.stem for path in (ROOT / "gangmu").glob("*.py"))
EXTRAS = "torch,transformers,datasets,evaluate,sklearn,scipy,matplotlib,lxml,trafilatura,pypdf,pyarrow"
EXTRAS += ",openvino,onnx,onnxruntime,ray"
NEEDS_TORCH = {"export"}
"""Imported only where a checkpoint is compiled."""
CORE = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in sys.argv[1].split(","):
            raise ImportError(f"{name} is not a core dependency")
sys.meta_path.insert(0, Refuse())
import importlib
for name in sys.argv[2:]:
    importlib.import_module(name)
"""


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_one_way(module: str) -> None:
    tree = ast.parse((ROOT / "gangmu" / f"{module}.py").read_text(encoding="utf-8"))
    names = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert not [name for name in names if name.split(".")[0] == "train"]


def test_package_imports_with_core_dependencies_alone() -> None:
    names = ["gangmu", *(f"gangmu.{module}" for module in MODULES if module not in {"__init__", *NEEDS_TORCH})]
    done = subprocess.run(
        [sys.executable, "-c", CORE, EXTRAS, *names], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr
