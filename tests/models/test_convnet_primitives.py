"""The convnet's primitives: what the originals gave, shapes, refusals."""

import functools

import numpy as np
import pytest

import mcore
from mcore import Conv2d, PReLU, ReLU, Sigmoid
from mcore.checkpoint import load_by_position
from models.basicblocks.upconv import build_group_norm
from models.networks import (
    AvgPool2DFlatten,
    CenterCrop,
    Clamp,
    Crop,
    MaxPool2DFlatten,
    MultiHeaded,
    MultiHeadedOutput,
    RescaleValues,
    SplitTuple,
    UpConv,
    View,
)
from tests.models.golden_files import assert_near, read, run, said

FILE = read("dacapo_convnet", "zetta_primitives")
CASES = said(FILE)
POINT = functools.partial(Conv2d, kernel_size=1)


def primitive(case):
    """The layer of a case, with the original's weights, and what it was called with."""
    number = f"{case['index']:02d}"
    layer = mcore.build(case["spec"], namespace="convnet")
    weights = [FILE[key] for key in sorted(FILE) if key.startswith(f"{number}_") and "|" in key]
    if weights:
        load_by_position(layer, weights)
    return number, layer, FILE[f"{number}_in"]


@pytest.mark.parametrize("case", [c for c in CASES if "error" not in c], ids=lambda c: c["spec"]["@type"])
def test_a_primitive_gives_what_the_original_gave(case):
    number, layer, x = primitive(case)
    expected = FILE[f"{number}_out"]
    # Of one channel, the original loses the axis of channels.
    if case["spec"]["@type"].endswith("2DFlatten"):
        expected = expected.reshape(x.shape[:2])

    assert_near(run(layer, x), expected)


@pytest.mark.parametrize("case", [c for c in CASES if "error" in c], ids=lambda c: c["spec"]["@type"])
def test_what_the_original_refused_is_refused_in_words(case):
    def use():
        _, layer, x = primitive(case)
        run(layer, x)

    with pytest.raises(ValueError, match=rf"{case['spec']['@type']}: .*\w+"):
        use()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Crop([1, -1]), r"Crop: crop=\[1, -1\] is no list of whole numbers from 0 on"),
        (lambda: Crop(1), "Crop: crop=1 is no list of whole numbers"),
        (lambda: Crop([1, 1, 1])(mcore.zeros(8, 8)), "Crop: it has a number for each of 3 axes, but the map has 2"),
        (lambda: CenterCrop([1, 1, 1])(mcore.zeros(8, 8)), "CenterCrop: it has a number for each of 3 axes"),
        (lambda: CenterCrop([0, 2]), r"CenterCrop: size=\[0, 2\] is no list of whole numbers from 1 on"),
        (lambda: View([2.5]), r"View: shape=\[2.5\] is no list of whole numbers from -1 on"),
        (lambda: Crop([2])(mcore.zeros(1, 4)), r"Crop: crop=\[2\] leaves nothing of \[4\] pixels"),
        (lambda: CenterCrop([5])(mcore.zeros(1, 4)), r"CenterCrop: \[5\] can't be cropped out of \[4\]"),
        (lambda: AvgPool2DFlatten()(mcore.zeros(1, 2, 4, 5)), "AvgPool2DFlatten: a map of 4x5 pixels isn't square"),
        (lambda: SplitTuple()(mcore.zeros(3, 1)), "SplitTuple: a batch of 3 has no halves"),
        (lambda: RescaleValues([0, 1, 2], [0, 1]), r"in_range=\[0, 1, 2\] is not two numbers"),
        (lambda: RescaleValues([1, 1], [0, 1]), r"in_range=\[1, 1\] has no width"),
        (Clamp, "Clamp: neither min nor max is given"),
        (lambda: MultiHeaded({}), r"MultiHeaded: heads=\{\} names none"),
        (lambda: MultiHeaded([ReLU()]), "MultiHeaded: heads=.* names none; give at least one by its name"),
        (lambda: MultiHeaded({"keys": ReLU()}), "MultiHeaded: 'keys' can't name a head"),
        (lambda: MultiHeaded({1: ReLU()}), "MultiHeaded: 1 can't name a head"),
        (lambda: MultiHeaded({"_a": ReLU()}), "MultiHeaded: '_a' can't name a head"),
        (lambda: MultiHeadedOutput(1, {"class": 2}, POINT), "MultiHeadedOutput: 'class' can't name a head"),
        (lambda: MultiHeadedOutput(1, {"a b": 2}, POINT), "MultiHeadedOutput: 'a b' can't name a head"),
    ],
)
def test_what_cannot_work_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("layer", [MaxPool2DFlatten(), AvgPool2DFlatten()], ids=["max", "mean"])
@pytest.mark.parametrize("shape", [(3, 1), (1, 1), (2, 4)])
def test_pooling_keeps_batch_and_channels(layer, shape):
    assert tuple(layer(mcore.zeros(*shape, 4, 4)).shape) == shape


def test_whole_numbers_are_rescaled_to_floats():
    layer = RescaleValues([0, 255], [-1, 1])

    got = layer(mcore.tensor([0, 255, 51], dtype=mcore.uint8))

    np.testing.assert_allclose(got.numpy(), [-1, 1, -0.6], atol=1e-6)


def test_a_view_takes_what_does_not_lie_in_one_piece():
    x = mcore.arange(6).reshape(2, 3).transpose(0, 1)

    assert View([-1])(x).tolist() == [0, 3, 1, 4, 2, 5]


def test_halves_of_a_batch_become_channels():
    x = mcore.arange(4).reshape(4, 1)

    assert SplitTuple()(x).tolist() == [[0, 2], [1, 3]]


def test_results_of_heads_are_named_in_their_order():
    net = MultiHeaded({"twice": ReLU(), "shares": Sigmoid()})

    out = net(mcore.zeros(1, 2))

    assert (out._fields, out.twice.tolist(), out.shares.tolist()) == (("twice", "shares"), [[0, 0]], [[0.5, 0.5]])


def test_each_head_learns_an_activation_of_its_own():
    slope = PReLU()
    net = MultiHeadedOutput(2, {"a": 1, "b": 1}, POINT, preactivation=slope)

    slopes = {id(head[1].weight) for head in net.heads.values()} | {id(slope.weight)}

    assert len(slopes) == 3
    assert [key for key in net.state_dict() if ".1." in key] == ["heads.a.1.weight", "heads.b.1.weight"]


def test_a_constructor_in_an_activations_place_is_refused():
    with pytest.raises(TypeError, match=r"MultiHeadedOutput: activation=.* is no layer; give one that is built"):
        MultiHeadedOutput(2, {"a": 1}, POINT, activation=Sigmoid)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: UpConv(1, 1, 3, upsampler=mcore.Upsample(scale_factor=2)), "UpConv: upsampler is a Upsample that is"),
        (lambda: UpConv(1, 1, 3, conv=None), "UpConv: conv is None, but one is made for each place"),
        (lambda: MultiHeadedOutput(1, {"a": 2}, mcore.Conv2d(1, 2, 1)), "MultiHeadedOutput: conv is a Conv2d that is"),
    ],
)
def test_a_layer_in_a_constructors_place_is_refused(make, message):
    with pytest.raises(TypeError, match=message):
        make()


def test_a_group_norm_with_its_channels_first_takes_all_of_torchs_arguments():
    norm = build_group_norm(6, 3, eps=0.5, affine=False)

    assert (norm.num_groups, norm.num_channels, norm.eps, norm.affine) == (3, 6, 0.5, False)


def test_heads_of_specs_are_built_by_name():
    heads = {"a": {"@type": "torch.nn.ReLU"}, "b": {"@type": "Clamp", "max": 0.5}}
    net = mcore.build({"@type": "MultiHeaded", "heads": heads}, namespace="convnet")

    assert [type(head) for head in net.heads.values()] == [ReLU, Clamp]


def test_heads_keep_their_names_in_an_artifact(tmp_path):
    net = MultiHeadedOutput(2, {"aff": 3, "mask": 1}, POINT, activation=Sigmoid()).eval()

    artifact = net.toplatform(tmp_path / "net", sizes=[(1, 2, 4, 6), (2, 2, 7, 5), (3, 2, 9, 8)], strict=True)

    assert [value.name for value in artifact.model.graph.output] == ["aff", "mask"]


def test_what_raises_a_map_comes_before_the_convolution():
    net = UpConv(2, 3, 3)

    assert (list(net.state_dict()), [name for name, _ in net.named_children()]) == (
        ["conv.weight", "conv.bias"],
        ["upsampler", "conv"],
    )
