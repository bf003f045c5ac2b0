"""Imports point downwards only: tools, models, mcore; inside mcore: exchange, engines; words, tensor, graph."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# A folder, and what nothing in it may import.
FORBIDDEN = {
    "mcore": ("models", "tools", "tests", "benchmarks"),
    "models": ("torch", "tools", "tests", "onnx", "onnxruntime", "mcore.platform", "mcore.torch"),
    "mcore/platform": ("torch", "mcore.exchange", "mcore.torch"),
    "mcore/torch": ("onnx", "onnxruntime", "mcore.exchange", "mcore.platform"),
    "models/backbones": ("models.necks", "models.heads", "models.networks"),
    "models/necks": ("models.backbones", "models.heads", "models.networks"),
    "models/heads": ("models.backbones", "models.necks", "models.networks"),
}


def imports(file):
    """Every module that a file imports, wherever in it, with the line; what only type checkers read is left out."""
    tree = ast.parse(file.read_text())
    unread = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.unparse(block.test)
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if id(node) in unread:
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, node.lineno
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_no_file_imports_upwards(folder):
    wrong = [
        f"{file.relative_to(ROOT)}:{line} imports {module}"
        for file in sorted((ROOT / folder).rglob("*.py"))
        for module, line in imports(file)
        for banned in FORBIDDEN[folder]
        if module == banned or module.startswith(f"{banned}.")
    ]

    assert not wrong


def test_only_the_backend_file_compares_an_engine_by_name():
    wrong = [
        f"{file.relative_to(ROOT)}:{node.lineno}"
        for folder in ("mcore", "models", "tools")
        for file in sorted((ROOT / folder).rglob("*.py"))
        if file != ROOT / "mcore/backend.py"
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Compare) and re.search(r"ENGINE\b|backend\(\)|MCORE_BACKEND", ast.unparse(node))
    ]

    assert not wrong


@pytest.mark.parametrize("folder", ["mcore", "models", "tools"])
def test_every_folder_of_sources_is_a_package(folder):
    bare = {file.parent for file in (ROOT / folder).rglob("*.py")} - {
        file.parent for file in (ROOT / folder).rglob("__init__.py")
    }

    assert not bare  # an installation would leave it out
