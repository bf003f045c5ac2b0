"""Training is the torch engine's, and needs nothing of the other one."""

from tests.isolation import run

TRAIN = """
import sys, tempfile
from tests.training import tiny
from mcore.training import train

with tempfile.TemporaryDirectory() as out:
    result = train(tiny.config(steps=2, metrics="iou"), out=out, net=tiny.net(), data=tiny.data(), progress="quiet")
assert not {"onnx", "onnxruntime"} & set(sys.modules)
print(result.reason)
"""
REFUSED = """
import mcore
from mcore.training import train

try:
    train({"model": "LeNet", "train": {"losses": "dice", "epochs": 1, "batch": 1, "data": {"train": "folder"}}})
except RuntimeError as error:
    print(error)
"""
CHECKED = """
import sys
from mcore import config
from mcore.training import settings_of

print(settings_of(config.read({"train": {"losses": "dice", "epochs": 1, "batch": 1}})).batch)
assert "torch" not in sys.modules
"""


def test_a_network_trains_where_onnx_and_its_runtime_are_not_installed():
    assert run(TRAIN, engine="torch", without=("onnx", "onnxruntime"), timeout=280).splitlines()[-1] == "done"


def test_the_platform_says_which_engine_trains():
    said = run(REFUSED, engine="platform")

    assert "only the torch engine has it" in said
    assert "MCORE_BACKEND=torch" in said


def test_a_configuration_is_checked_without_torch():
    assert run(CHECKED, engine="platform", without=("torch",)).strip() == "1"
