"""Every word of the contract table, on every path, against torch."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re

import numpy as np
import pytest
import torch

import tests.words as package
from tests.words.contract import (
    Array,
    Row,
    Sample,
    assert_equal,
    leaves,
    platform_args,
    platform_function,
    swap,
    torch_args,
    torch_function,
)  # fmt: skip

ROWS: list[Row] = [
    row
    for info in pkgutil.iter_modules(package.__path__)
    if info.name.startswith("rows_")
    for row in importlib.import_module(f"tests.words.{info.name}").ROWS
]
CASES = [(row, sample) for row in ROWS for sample in row.samples]
NAMES = [(row, name) for row in ROWS for name in row.names]
ERRORS = [(row, error) for row in ROWS for error in row.errors]


def label(case) -> str:
    row, item = case
    if isinstance(item, str):
        return item
    index = (row.samples if isinstance(item, Sample) else row.errors).index(item)
    return f"{row.names[0]}-{index}"


def skip_if_left_out(sample: Sample, path: str) -> None:
    if path in sample.skip:
        pytest.skip(sample.skip[path])


def tolerance(row: Row, sample: Sample) -> dict:
    return {
        "rtol": row.rtol if sample.rtol is None else sample.rtol,
        "atol": row.atol if sample.atol is None else sample.atol,
    }


def compare(row: Row, sample: Sample, got, want, **options) -> None:
    if row.random:
        assert [tuple(g.shape) for g in leaves(got)] == [tuple(w.shape) for w in leaves(want)]
    else:
        assert_equal(got, want, **tolerance(row, sample), **options)


def expected(row: Row, sample: Sample, arguments=None):
    args, kwargs = arguments or (sample.args, sample.kwargs)
    return torch_function(row.names[0])(*torch_args(args), **torch_args(kwargs))


def arrays_of(value, found: list) -> list:
    """Array descriptions in the order in which arguments carry them."""
    if isinstance(value, Array):
        found.append(value)
    elif isinstance(value, tuple | list):
        for item in value:
            arrays_of(item, found)
    elif isinstance(value, dict):
        for item in value.values():
            arrays_of(item, found)
    elif isinstance(value, slice):
        arrays_of((value.start, value.stop, value.step), found)
    return found


def with_inputs(sample: Sample, inputs, dtypes):
    """The sample's arguments with `inputs` in place of the array descriptions."""
    waiting = iter(inputs)
    make = lambda array: next(waiting)  # noqa: E731
    return swap(sample.args, make, dtypes), swap(sample.kwargs, make, dtypes)


@pytest.mark.parametrize("case", CASES, ids=label)
def test_a_word_outside_a_module_gives_what_torch_gives(case):
    row, sample = case
    skip_if_left_out(sample, "eager")
    for arguments in filter(None, [(sample.args, sample.kwargs), sample.second]):
        want = expected(row, sample, arguments)

        got = platform_function(row.names[0])(*platform_args(arguments[0]), **platform_args(arguments[1]))

        compare(row, sample, got, want)


@pytest.mark.parametrize("case", CASES, ids=label)
def test_a_word_inside_a_module_gives_what_torch_gives_at_alternating_sizes(case):
    import mcore.platform as engine

    row, sample = case
    skip_if_left_out(sample, "module")
    function = platform_function(row.names[0])

    class Speaks(engine.Module):
        def forward(self, args, kwargs):
            return function(*args, **kwargs)

    net = Speaks()
    for arguments in filter(None, [(sample.args, sample.kwargs), sample.second, (sample.args, sample.kwargs)]):
        want = expected(row, sample, arguments)

        got = net(platform_args(list(arguments[0])), platform_args(arguments[1]))

        compare(row, sample, got, want)


def run_model(model, inputs: list[np.ndarray]) -> list[np.ndarray]:
    from mcore.exchange.ortrun import Runner

    return Runner(model.SerializeToString())(inputs)


def check_exported(row: Row, sample: Sample, model, descriptions: list[Array]) -> None:
    want = [w for w in leaves(expected(row, sample)) if isinstance(w, torch.Tensor)]
    compare(row, sample, run_model(model, [a.platform().numpy() for a in descriptions]), want, exact_dtype=False)
    if sample.second is not None:
        second = arrays_of(list(sample.second), [])
        want = [w for w in leaves(expected(row, sample, sample.second)) if isinstance(w, torch.Tensor)]
        compare(row, sample, run_model(model, [a.platform().numpy() for a in second]), want, exact_dtype=False)


def dynamic_of(descriptions: list[Array], sample: Sample) -> dict[int, list[int]]:
    """Axes that differ between the two sizes of a sample."""
    if sample.second is None:
        return {}
    second = arrays_of(list(sample.second), [])
    return {
        k: [axis for axis, (p, q) in enumerate(zip(a.make().shape, b.make().shape, strict=True)) if p != q]
        for k, (a, b) in enumerate(zip(descriptions, second, strict=True))
    }


def gives_tensors(row: Row, sample: Sample) -> bool:
    return all(isinstance(w, torch.Tensor) for w in leaves(expected(row, sample)))


@pytest.mark.parametrize("case", CASES, ids=label)
def test_an_exported_word_gives_what_torch_gives_at_both_sizes(case):
    import mcore.platform as engine
    from mcore.exchange.export import to_onnx

    row, sample = case
    skip_if_left_out(sample, "export")
    descriptions = arrays_of([sample.args, sample.kwargs], [])
    if row.random or not descriptions or not gives_tensors(row, sample):
        pytest.skip("nothing of it can stand in a file: random, without tensor arguments, or without tensor results")
    function = platform_function(row.names[0])
    kinds = lambda name: getattr(engine, name)  # noqa: E731

    class Speaks(engine.Module):
        def forward(self, *inputs):
            args, kwargs = with_inputs(sample, inputs, kinds)
            return function(*args, **kwargs)

    inputs = tuple(a.platform() for a in descriptions)
    model = to_onnx(Speaks().eval(), inputs, dynamic=dynamic_of(descriptions, sample))

    check_exported(row, sample, model, descriptions)


@pytest.mark.parametrize("case", CASES, ids=label)
def test_a_torch_function_recorded_gives_what_torch_gives_at_both_sizes(case):
    from mcore.exchange.export import to_onnx

    row, sample = case
    skip_if_left_out(sample, "recording")
    descriptions = arrays_of([sample.args, sample.kwargs], [])
    if row.random or not descriptions or not gives_tensors(row, sample):
        pytest.skip("nothing of it can stand in a file: random, without tensor arguments, or without tensor results")
    function = torch_function(row.names[0])

    class Speaks(torch.nn.Module):
        def forward(self, *inputs):
            args, kwargs = with_inputs(sample, inputs, lambda name: getattr(torch, name))
            return function(*args, **kwargs)

    inputs = tuple(a.torch() for a in descriptions)
    model = to_onnx(Speaks().eval(), inputs, dynamic=dynamic_of(descriptions, sample), strict=True)

    check_exported(row, sample, model, descriptions)


@pytest.mark.parametrize("case", ERRORS, ids=label)
def test_bad_arguments_are_refused_in_the_words_of_torch(case):
    row, error = case
    if error.only != "platform":
        expect_refusal(error, torch_function(row.names[0]), torch_args)

    expect_refusal(error, platform_function(row.names[0]), platform_args)


def expect_refusal(error, function, prepare):
    """Calls and wants the error, with its words as they stand or as a pattern."""
    with pytest.raises(error.kind) as caught:
        function(*prepare(error.args), **prepare(error.kwargs))
    text = str(caught.value)
    assert error.words in text or re.search(error.words, text), f"{error.words!r} is not in {text!r}"


@pytest.mark.parametrize("case", NAMES, ids=label)
def test_a_word_has_the_signature_that_torch_documents(case):
    row, name = case
    if not row.signature:
        assert row.reason, "a row that leaves its signature out says why"
        return
    try:
        theirs = inspect.signature(torch_function(name))
    except ValueError:
        assert callable(platform_function(name))  # a C function without a readable signature
        return

    mine = inspect.signature(platform_function(name))

    assert list(mine.parameters) == list(theirs.parameters)
    for key, parameter in theirs.parameters.items():
        if not isinstance(parameter.default, torch.dtype):
            assert mine.parameters[key].default == parameter.default or key == "self", key


def test_every_word_of_the_engine_has_a_row():
    import mcore.platform  # noqa: F401
    from mcore.platform.word import WORDS

    described = {name for row in ROWS for name in row.names}

    missing = sorted(name for name in WORDS if name not in described and not name.endswith("_"))

    assert not missing, f"words without a row: {missing}"
