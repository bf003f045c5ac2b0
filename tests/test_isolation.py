"""Each engine lives without the other's packages: everything of the catalogue, in processes where they are hidden."""

import pytest

from tests.isolation import run

# What stands for its kind must build, run and export; `numpy` alone computes the inputs.
EVERY_MODEL = """
import sys
import numpy as np
import mcore
from models import create
from tests.models.catalog import CATALOG

done = []
chosen = [entry for entry in CATALOG if entry.long == {long}]
for entry in chosen:
    net = create(entry.name, kind=entry.kind, version=entry.version, **build_arguments(entry)).eval()
    arrays = [np.random.default_rng(k).standard_normal(s).astype(np.float32) for k, s in enumerate(entry.shapes)]
    inputs = [mcore.from_numpy(a) for a in arrays]
    net(tuple(inputs)) if entry.by_maps else net(*inputs)
    done.append(entry.id)
hidden = [name for name in {hidden!r} if name in sys.modules]
assert not hidden, hidden
print(len(done), len(chosen))
"""

ARGUMENTS = """
def build_arguments(entry):
    arguments = dict(entry.arguments)
    if entry.by_maps and "in_channels" not in arguments:
        arguments["in_channels"] = [shape[1] for shape in entry.shapes]
    return arguments
"""


@pytest.mark.parametrize(
    ("engine", "hidden"),
    [("platform", ("torch", "torchvision", "scipy", "sympy")), ("torch", ("onnx", "onnxruntime"))],
    ids=["platform without torch", "torch without onnx and onnxruntime"],
)
@pytest.mark.parametrize("long", [False, pytest.param(True, marks=pytest.mark.long)], ids=["first sizes", "all others"])
@pytest.mark.timeout(2400)
def test_every_model_builds_and_runs_without_the_packages_of_the_other_engine(engine, hidden, long):
    code = ARGUMENTS + EVERY_MODEL.replace("{hidden!r}", repr(hidden)).replace("{long}", str(long))

    said = run(code, engine=engine, without=hidden, timeout=2400)

    built, listed = said.splitlines()[-1].split()
    assert int(built) == int(listed) > 10


def test_a_model_exports_and_verifies_where_torch_cannot_be_imported(tmp_path):
    said = run(
        """
        import sys, mcore
        from models import create

        net = create("resnet18", num_classes=3).eval()
        art = net.toplatform("net", sizes=[(1, 3, 64, 48), (2, 3, 96, 80), (3, 3, 33, 47)])
        back = type(net).fromplatform("net")
        x = mcore.randn(1, 3, 40, 40)
        assert float((back(x) - net(x)).abs().max()) < 1e-5
        assert "torch" not in sys.modules
        print(art.report.largest < 1e-4)
        """,
        engine="platform", without=["torch"], cwd=tmp_path,
    )  # fmt: skip

    assert said.splitlines()[-1] == "True"


def test_importing_the_platform_brings_in_neither_onnx_nor_the_runtime():
    said = run(
        "import sys, mcore, models; print([m for m in ('torch', 'onnx', 'onnxruntime', 'scipy') if m in sys.modules])",
        engine="platform",
    )

    assert said == "[]"
