"""The Merkle tree of code: what changes a hash, what doesn't, and whose."""

import shutil

import pytest

import models
from mcore.exchange.code_hash import name_of, parts_of, roots_of
from mcore.exchange.code_tree import CodeTree
from models.catalog import NAMES
from tests.isolation import ROOT, run

NETS = {name: models.create(name) for name in ("resnet18", "seresnet18", "ecaresnet26t", "convnext_atto")}
MADE = {name: (roots_of(net), parts_of(net)) for name, net in NETS.items()}


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """A copy of the project's sources, to be changed."""
    place = tmp_path_factory.mktemp("sources")
    for package in ("mcore", "models"):
        shutil.copytree(ROOT / package, place / package, ignore=shutil.ignore_patterns("__pycache__", "golden"))
    return place


@pytest.fixture
def edited(sources):
    """Replaces a text in a file of the copy, and puts it back afterwards."""
    before = {}

    def edit(file, old, new):
        path = sources / file
        text = path.read_text(encoding="utf-8")
        before.setdefault(path, text)
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")

    yield edit
    for path, text in before.items():
        path.write_text(text, encoding="utf-8")


def hashes(sources):
    tree = CodeTree(root=sources)
    return {name: tree.hash_of(roots, made_of) for name, (roots, made_of) in MADE.items()}


@pytest.fixture(scope="module")
def as_they_are(sources):
    return hashes(sources)


def changed(sources, as_they_are):
    """Names of the networks that have another hash by now."""
    return {name for name, digest in hashes(sources).items() if digest != as_they_are[name]}


def test_the_copy_has_the_hashes_of_the_project(as_they_are):
    tree = CodeTree()

    assert {name: tree.hash_of(roots, made_of) for name, (roots, made_of) in MADE.items()} == as_they_are


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("models/attention/squeeze_excite.py", "class SE(", "# a comment\nclass SE("),
        ("models/basicblocks/residual.py", "def forward(self, x: Tensor)", "def forward(self, x)"),
        ("mcore/platform/words/activation.py", '"""`max(input, 0)`."""', '"""The larger of input and 0."""'),
        ("models/utils/weights.py", "def load_weights(", "OTHER = 1\n\n\ndef load_weights("),
        ("models/catalog.py", "NAMES = {", "NAMES: dict = {"),
    ],
    ids=["a comment", "an annotation", "a docstring", "loading files of weights", "the catalogue"],
)
def test_what_changes_no_result_changes_no_hash(sources, edited, as_they_are, file, old, new):
    edited(file, old, new)

    assert changed(sources, as_they_are) == set()


@pytest.mark.parametrize(
    ("file", "old", "new", "users"),
    [
        ("models/attention/squeeze_excite.py", "def forward(self", "other = 1\n\n    def forward(self", {"seresnet18"}),
        ("models/attention/eca.py", "def forward(self", "other = 1\n\n    def forward(self", {"ecaresnet26t"}),
        (
            "mcore/platform/layers/normalization.py",
            "class BatchNorm2d(_BatchNorm):",
            "class BatchNorm2d(_BatchNorm):\n    other = 1",
            {"resnet18", "seresnet18", "ecaresnet26t"},
        ),
        (
            "mcore/platform/layers/activation.py",
            "class GELU(Module):",
            "class GELU(Module):\n    other = 1",
            {"convnext_atto"},
        ),
        ("mcore/platform/words/convolution.py", "def conv2d(", "def conv2d(other, ", set(MADE)),
        ("models/basicblocks/convnext.py", "def forward(self", "other = 1\n\n    def forward(self", {"convnext_atto"}),
    ],
    ids=["SE", "ECA", "a norm", "an activation", "a word", "a block"],
)
def test_a_change_reaches_exactly_those_that_use_it(sources, edited, as_they_are, file, old, new, users):
    edited(file, old, new)

    assert changed(sources, as_they_are) == users


PROJECT = {
    "own/__init__.py": "from own.blocks import Block as Block",
    "own/blocks.py": """
import mcore
from .helpers import twice, LIMITS

class Other(mcore.Module):
    expansion = 4
    def forward(self, x):
        return x.exp()

class Block(mcore.Module):
    width = 2 * Other.expansion
    def forward(self, x):
        from own import late
        return late.step(twice(x)) if LIMITS["a"] else Called()(x)
    def other(self):
        return Other()

class Called(mcore.Module):
    def forward(self, x):
        return x.sin()
""",
    "own/helpers.py": """
LIMITS = {"a": 1}
LIMITS["b"] = 2

def twice(x):
    return again(x, 1)

def again(x, depth):
    return twice(x) if depth else 2 * x
""",
    "own/late.py": "import beside\n\ndef step(x):\n    return beside.shift(x + 1)",
    "beside.py": "BY = 7\n\ndef shift(x):\n    return x - BY",
    "own/net.py": "from own import Block\n\nclass Net(Block):\n    pass",
}


@pytest.fixture
def own(tmp_path):
    """The hash of a project's network, with texts replaced by others; only `Net` and `Block` are built."""

    def of(old="", new=""):
        assert not old or any(old in text for text in PROJECT.values())
        for file, text in PROJECT.items():
            path = tmp_path / file
            path.parent.mkdir(exist_ok=True)
            path.write_text(text.replace(old, new) if old else text)
        tree = CodeTree(["own"], root=tmp_path)
        return tree.hash_of(["own.net:Net"], {"own.net:Net", "own.blocks:Block"})

    return of


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("2 * x", "3 * x"),
        ("again(x, 1)", "again(x, 2)"),
        ('LIMITS["b"] = 2', 'LIMITS["b"] = 3'),
        ('{"a": 1}', '{"a": 0}'),
        ("x + 1", "x + 2"),
        ("BY = 7", "BY = 8"),
        ("expansion = 4", "expansion = 8"),
        ("class Net(Block):\n    pass", "class Net(Block):\n    width = 1"),
    ],
    ids=["a circle of functions", "the circle's other half", "a value changed below", "a value", "imported inside a "
         "function", "a module beside the package", "an attribute of a class that isn't built", "the class itself"],
)  # fmt: skip
def test_everything_that_counts_is_found(own, old, new):
    assert own(old, new) != own()


@pytest.mark.parametrize(("folder", "counts"), [("project", True), ("site-packages", False)])
def test_what_stands_beside_a_package_belongs_to_it_where_not_everything_is_installed(tmp_path, folder, counts):
    root = tmp_path / folder
    for file, text in PROJECT.items():
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text(text)

    assert ("beside:shift" in CodeTree(["own"], root=root).reached(["own.net:Net"])) is counts


def test_a_class_that_forward_builds_counts_though_the_network_is_not_made_of_it(own):
    assert own("x.sin()", "x.cos()") != own()


def test_a_class_that_is_not_built_counts_no_further_than_what_is_asked_of_it(own):
    assert own("x.exp()", "x.log()") == own()


def test_code_that_has_moved_to_another_file_is_the_same_code(own):
    assert own("late", "later") != own()  # the function that imports it says so
    assert own("from .helpers import twice, LIMITS", "from own.helpers import twice, LIMITS") == own()


@pytest.mark.parametrize(
    ("net", "call"),
    [
        ("from .helpers import *", "scaled(x)"),
        ("from . import *", "scaled(x)"),
        ("from .helpers import scaled\ndef another(): from .words import scaled", "scaled(x)"),
        ("try:\n    from .helpers import scaled\nexcept ImportError:\n    def scaled(x): return x", "scaled(x)"),
        ("from .helpers import TABLE\nTABLE['b'] = 1", "TABLE['a'](x)"),
        ("import sys\nfrom .helpers import scaled\nmatch sys.platform:\n    case _:\n        made = scaled", "made(x)"),
        ("from .helpers import Unbuilt", "Unbuilt.scaled(x)"),
    ],
    ids=["a star", "a star of a package", "another function's import", "a branch that defines it", "changed below",
         "a match", "a static method of a class that isn't built"],
)  # fmt: skip
def test_a_function_is_found_however_its_name_comes_into_a_file(tmp_path, net, call):
    helpers = """
import mcore
def scaled(x): return 2 * x
TABLE = {"a": scaled}
class Unbuilt(mcore.Module):
    @staticmethod
    def scaled(x): return 2 * x
"""
    body = f"import mcore\n{net}\nclass Net(mcore.Module):\n    def forward(self, x): return {call}"

    def of(text):
        files = {"__init__": "from .helpers import *", "helpers": text, "words": "def scaled(x): return x", "net": body}
        (tmp_path / "own").mkdir(exist_ok=True)
        for name, source in files.items():
            (tmp_path / "own" / f"{name}.py").write_text(source)
        return CodeTree(["own"], root=tmp_path).hash_of(["own.net:Net"], {"own.net:Net"})

    assert of(helpers.replace("2 * x", "3 * x")) != of(helpers)
    assert of(helpers.replace("2 * x", "(2 * x)  # twice")) == of(helpers)


def test_everything_public_has_source_and_all_names_of_the_zoo_that_it_reaches_are_found(monkeypatch):
    tree, lost = CodeTree(), set()
    found = tree.names._target

    def noting(dotted, depth=0):
        node, meaning = found(dotted, depth)
        if node is None and meaning and meaning.startswith("models."):
            lost.add(dotted)
        return node, meaning

    monkeypatch.setattr(tree.names, "_target", noting)
    places = {tree.names.definition(place) for names in NAMES.values() for place in names.values()}

    reached = tree.reached(places)

    assert not {place for place in places if place not in reached}
    assert lost == set()


def test_the_tree_of_code_needs_no_engine():
    said = run(
        """
        import sys
        from mcore.exchange.code_tree import CodeTree
        CodeTree().hash_of(["models.networks.unet:UNet"])
        print([name for name in ("torch", "numpy", "onnx", "onnxruntime") if name in sys.modules])
        """
    )

    assert said == "[]"


def test_a_layer_has_one_name_on_both_engines():
    names = run(
        """
        import mcore
        from mcore.exchange.code_hash import name_of
        from mcore.exchange.code_tree import CodeTree
        print(*(name_of(layer, CodeTree()) for layer in (mcore.Conv2d, mcore.BatchNorm3d, mcore.GELU)))
        """,
        engine="platform",
        without=["torch"],
    )

    tree = CodeTree()
    import mcore

    assert names.split() == [name_of(layer, tree) for layer in (mcore.Conv2d, mcore.BatchNorm3d, mcore.GELU)]
