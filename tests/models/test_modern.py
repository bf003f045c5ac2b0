"""ConvNeXt and HRNet: the originals' results, published sizes, options, refusals."""

import numpy as np
import pytest

import mcore
import models
from models.backbones import convnext_atto, hrnet_w18_small
from models.basicblocks import GRN, ConvNeXtBlock
from models.utils.weights import load_weights
from tests.models import golden

trains = pytest.mark.skipif(mcore.backend() != "torch", reason="only the torch engine has gradients")
dtypes = pytest.mark.parametrize("dtype", golden.DTYPES)


@dtypes
@pytest.mark.parametrize("name", ["convnext_atto", "convnextv2_femto"])
def test_convnext_gives_the_logits_and_the_maps_of_timms(name, dtype):
    golden.assert_classifier_reproduced(f"timm_{name}", lambda **more: models.create(name, **more), dtype)


@dtypes
def test_hrnet_gives_the_logits_and_the_finest_branch_of_timms(dtype):
    # Stored are the finest branches after stages 2, 3 and 4; the last is what a backbone returns.
    golden.assert_classifier_reproduced(
        "timm_hrnet_w18_small",
        lambda **more: hrnet_w18_small(taps="branches", **more),
        dtype,
        levels=[None, None, 1],
    )


@dtypes
@pytest.mark.parametrize(("stage", "stored"), [(2, "feature.2.stage2"), (3, "feature.3.stage3")])
def test_hrnet_gives_the_finest_branch_of_earlier_stages_of_timms(stage, stored, dtype):
    expected, net = golden.read("timm_hrnet_w18_small"), hrnet_w18_small(num_classes=10)
    golden.load(net, golden.weights(expected), dtype)
    seen = []
    getattr(net, f"stage{stage}").register_forward_hook(lambda module, args, maps: seen.append(maps[0].numpy()))

    golden.run(net, golden.inputs(expected), dtype)

    golden.assert_equal(seen[0], expected["outputs"][stored], dtype)


def test_the_branches_of_hrnet_double_their_channels():
    net = models.create("hrnet_w48", taps="branches", out_indices=[0, 1, 4])

    assert net.features == [(64, 2), (48, 4), (384, 32)]


def test_fusions_for_branches_that_nothing_needs_are_not_built():
    net = hrnet_w18_small(out_indices=[2])

    assert [name for name, _ in net.stage4[-1].fuse_layers.named_children()] == ["1"]
    assert [name for name, _ in net.incre_modules.named_children()] == ["1"]


def test_the_stem_of_hrnet_alone_has_one_convolution():
    assert [name for name, _ in hrnet_w18_small(out_indices=[0]).named_children()] == ["conv1", "bn1"]


@pytest.mark.parametrize("stride", [8, 16, 32])
def test_dilation_keeps_the_resolution_of_convnext_from_the_output_stride_on(stride):
    net = convnext_atto(output_stride=stride).eval()

    with mcore.no_grad():
        maps = net(mcore.zeros(1, 3, 96, 64))

    expected = [min(s, stride) for s in (4, 8, 16, 32)]
    assert [s for _, s in net.features] == [96 // x.shape[2] for x in maps] == expected


def test_a_dilated_convnext_gives_what_the_strided_one_gives_and_pixels_between():
    strided, dilated = convnext_atto(out_indices=[4]).eval(), convnext_atto(out_indices=[4], output_stride=16).eval()
    state = {k: golden.fill(k, tuple(map(int, v.shape)), 1.0) for k, v in strided.state_dict().items()}
    x = mcore.from_numpy(golden._input("dilated", (1, 3, 128, 96)))

    found = []
    for net in (strided, dilated):
        net.load_state_dict({key: mcore.from_numpy(value) for key, value in state.items()})
        with mcore.no_grad():
            found.append(net(x)[0].numpy())

    np.testing.assert_allclose(found[1][:, :, ::2, ::2], found[0], rtol=0, atol=1e-4 * np.abs(found[0]).max())


def test_global_response_normalisation_is_that_of_the_paper():
    net, x = GRN(3).eval(), golden._input("grn", (2, 3, 4, 5))
    net.load_state_dict({"weight": mcore.tensor([0.5, -1.0, 2.0]), "bias": mcore.tensor([0.1, 0.2, 0.3])})

    with mcore.no_grad():
        got = net(mcore.from_numpy(x)).numpy()

    amount = np.sqrt((x.astype(np.float64) ** 2).sum((2, 3), keepdims=True))
    share = amount / (amount.mean(1, keepdims=True) + 1e-6)
    weight, bias = np.array([0.5, -1.0, 2.0]).reshape(3, 1, 1), np.array([0.1, 0.2, 0.3]).reshape(3, 1, 1)
    np.testing.assert_allclose(got, x + weight * x * share + bias, rtol=0, atol=1e-5)


@trains
def test_a_sample_in_training_loses_the_branch_of_a_block_or_gets_it_scaled_up():
    block = ConvNeXtBlock(4, layer_scale=None, drop_path=0.5)
    x = mcore.randn(32, 4, 6, 6)

    with mcore.no_grad():
        whole = (block.eval()(x) - x).flatten(1)
        kept = (block.train()(x) - x).flatten(1)

    shares = ((kept * whole).sum(1) / (whole * whole).sum(1)).numpy()
    assert set(np.round(shares, 3)) == {0.0, 2.0}


# What another library calls the parts of ConvNeXt, and what we call them.
NAMES = {
    "torchvision_convnext": {
        "features.0.0.weight": "stem.0.weight",
        "features.0.1.bias": "stem.1.bias",
        "features.3.1.layer_scale": "stages.1.blocks.1.gamma",
        "features.3.1.block.0.weight": "stages.1.blocks.1.conv_dw.weight",
        "features.3.1.block.2.bias": "stages.1.blocks.1.norm.bias",
        "features.3.1.block.3.weight": "stages.1.blocks.1.mlp.fc1.weight",
        "features.3.1.block.5.weight": "stages.1.blocks.1.mlp.fc2.weight",
        "features.2.0.weight": "stages.1.downsample.0.weight",
        "features.6.1.weight": "stages.3.downsample.1.weight",
        "classifier.0.weight": "head.norm.weight",
        "classifier.2.weight": "head.fc.weight",
    },
    "facebook_convnext": {
        "downsample_layers.0.0.weight": "stem.0.weight",
        "downsample_layers.3.1.bias": "stages.3.downsample.1.bias",
        "stages.1.1.gamma": "stages.1.blocks.1.gamma",
        "stages.1.1.dwconv.weight": "stages.1.blocks.1.conv_dw.weight",
        "stages.1.1.pwconv1.weight": "stages.1.blocks.1.mlp.fc1.weight",
        "stages.1.1.pwconv2.bias": "stages.1.blocks.1.mlp.fc2.bias",
        "norm.weight": "head.norm.weight",
        "head.weight": "head.fc.weight",
    },
}


@pytest.mark.filterwarnings("ignore:.*keep their")
@pytest.mark.parametrize("table", list(NAMES))
def test_files_of_other_libraries_load(table):
    net = convnext_atto(num_classes=3)
    state = net.state_dict()
    values = {theirs: mcore.full_like(state[ours], 0.5) for theirs, ours in NAMES[table].items()}
    values = {key: value.reshape(-1, 1, 1) if "layer_scale" in key else value for key, value in values.items()}

    report = load_weights(net, {"state": values, "rename": table})

    assert report.unexpected == report.skipped == []
    assert all(float(net.state_dict()[ours].min()) == 0.5 for ours in NAMES[table].values())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: convnext_atto(out_indices=[0]), r"convnext_atto: out_indices=\[0\] aren't some of 1"),
        (lambda: convnext_atto(output_stride=4), "convnext_atto: output_stride=4 is not one of 8, 16, 32"),
        (lambda: convnext_atto(dims=0), "convnext_atto: dims=0 is not 1, 2 or 3"),
        (lambda: ConvNeXtBlock(8, kernel_size=4), "ConvNeXtBlock: kernel_size=4 is not odd"),
        (lambda: hrnet_w18_small(taps="all"), "hrnet_w18_small: taps='all' is not one of 'incre', 'branches'"),
        (lambda: hrnet_w18_small(frozen_stages=1, out_indices=[0]), "frozen_stages=1 is not -1 .none., 0"),
    ],
)
def test_an_argument_that_does_not_fit_is_refused_by_name(make, message):
    with pytest.raises(ValueError, match=message):
        make()
