"""The cases that ONNX ships for its operators, on the torch engine."""

import warnings

import ml_dtypes
import numpy as np
import onnx
import pytest
import torch

from mcore.exchange.bridge_torch import tensor_of
from mcore.exchange.onnx_torch import OnnxModule

pytestmark = pytest.mark.long

# Operators, and types of numbers, that the torch engine refuses when a file is read.
REFUSED = {
    "BitCast": "to types of few bits", "Cast": "to types of few bits, and strings", "DFT": "", "DeformConv": "",
    "ImageDecoder": "", "MelWeightMatrix": "", "RegexFullMatch": "strings", "RoiAlign": "", "STFT": "",
    "Scan": "of operator set 8", "StringConcat": "strings", "StringNormalizer": "strings", "StringSplit": "strings",
    "TensorScatter": "", "TfIdfVectorizer": "strings",
}  # fmt: skip
# Cases that are not what ONNX stored, and why.
OTHERWISE = {
    # ONNX takes the size before rounding; the runtime, and so the platform engine, takes it after.
    "test_resize_downsample_scales_linear_align_corners": "rounded sizes",
    "test_resize_downsample_scales_cubic_align_corners": "rounded sizes",
    "test_col2im_5d": "torch's fold has two axes",
}
RANDOM = ("test_bernoulli", "test_training_dropout")
# One rounding of each type; ONNX's reference rounds after each step, torch's products less often.
ROUNDING = {torch.bfloat16: 2e-2, torch.float16: 2e-3}


class Unknown(Exception):
    """A type of numbers that torch, or this engine, doesn't have."""


def tensor(value):
    if isinstance(value, list):
        return [tensor(item) for item in value]
    if value is None:
        return None
    array = np.array(onnx.numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else value)
    name = array.dtype.name
    if name in ("float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz"):
        return torch.from_numpy(array.view(np.uint8)).view(getattr(torch, name))
    if array.dtype.kind not in "biufc" and array.dtype != ml_dtypes.bfloat16:
        raise Unknown(name)
    return tensor_of(array)


def assert_same(got, wanted, case):
    if isinstance(wanted, list):
        assert len(got) == len(wanted)
        for one, other in zip(got, wanted, strict=True):
            assert_same(one, other, case)
    elif wanted is None:
        assert got is None
    else:
        expected = tensor(wanted)
        assert (got.dtype, got.shape) == (expected.dtype, expected.shape)
        atol = max(case.atol, ROUNDING.get(got.dtype, 0.0))
        one, other = (t.to(torch.float64) if t.is_floating_point() else t for t in (got, expected))
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=case.rtol, atol=atol)


def outcome(case):
    """ "ok", what was refused, or what went wrong."""
    try:
        module = OnnxModule(case.model)
    except NotImplementedError as error:
        return "refused", str(error)
    try:
        for inputs, outputs in case.data_sets:
            got = module(*map(tensor, inputs))
            for one, other in zip(got if len(outputs) > 1 else (got,), outputs, strict=True):
                assert_same(one, other, case)
    except Unknown as error:
        return "type", str(error)
    except (AssertionError, RuntimeError, NotImplementedError) as error:
        return "wrong", f"{type(error).__name__}: {error}"[:400]
    return "ok", ""


@pytest.fixture(scope="module")
def outcomes():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # making the cases overflows on purpose
        from onnx.backend.test.loader import load_model_tests

        cases = load_model_tests(kind="node")
    return {case.name: (case, *outcome(case)) for case in cases if not case.name.startswith(RANDOM)}


def test_every_operator_of_the_table_gives_what_onnx_says(outcomes):
    wrong = {name: why for name, (_, kind, why) in outcomes.items() if kind == "wrong"}
    wrong = {name: why for name, why in wrong.items() if "FLOAT8E8M0" not in name}

    assert set(wrong) == set(OTHERWISE), {name: why for name, why in wrong.items() if name not in OTHERWISE}


def test_most_cases_are_run(outcomes):
    run = [name for name, (_, kind, _) in outcomes.items() if kind == "ok"]

    assert len(run) >= 0.88 * len(outcomes), len(run)


def test_what_is_refused_stands_on_the_list(outcomes):
    refused = set()
    for case, kind, why in outcomes.values():
        own = {node.op_type for node in case.model.graph.node if node.domain in ("", "ai.onnx")}
        old = any(entry.version < 7 for entry in case.model.opset_import if entry.domain in ("", "ai.onnx"))
        if kind == "refused" and own and not old:
            refused |= {op for op in own if f"({op})" in why}

    assert refused <= set(REFUSED), refused - set(REFUSED)
