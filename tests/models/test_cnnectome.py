"""CNNectome's U-Net: what the original gives, sizes, films, configurations and files."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mcore
import models
from mcore.checkpoint import load_by_position
from models.networks import (
    Architecture,
    ArchitectureConfig,
    CNNectomeUNet,
    CNNectomeUNetConfig,
    CNNectomeUNetModule,
    Coordinate,
    DummyArchitecture,
    DummyArchitectureConfig,
)
from models.networks.cnnectome_sizes import EquivarianceError, MisfitError
from tests.models.golden_files import FOLDER, assert_near, read, run, said, state

FAMILY = "dacapo_convnet"
GOLDEN = sorted(path.stem for path in (FOLDER / FAMILY).glob("cnn?d_*.npz"))
SHAPES = json.loads((FOLDER / FAMILY / "cnnectome_shapes.json").read_text(encoding="utf-8"))
# What the file of a film says of itself besides its arguments.
FILM = {"upsample_channel_contraction": True, "activation_on_upsample": True, "batch_norm": False}
# Two levels down, 44 pixels at least.
TWO = {
    "name": "two",
    "input_shape": (44, 44),
    "fmaps_out": 2,
    "fmaps_in": 1,
    "num_fmaps": 2,
    "fmap_inc_factor": 2,
    "downsample_factors": [(2, 2), (2, 2)],
}
# One level down, 18 pixels at least.
ONE = {**TWO, "input_shape": (18, 18), "downsample_factors": [(2, 2)]}
FILMS = {**ONE, "input_shape": (5, 18, 18, 18), "downsample_factors": [2]}
trains = pytest.mark.skipif(mcore.backend() != "torch", reason="only the torch engine has gradients")


def original(name):
    """The network of a golden file."""
    about = said(read(FAMILY, name))
    if about["cls"].startswith("4D"):
        return CNNectomeUNetModule(**about["kwargs"], **FILM)
    if about["cls"].startswith("CNNectomeUNetModule"):
        return CNNectomeUNetModule(**about["kwargs"])
    return CNNectomeUNet(CNNectomeUNetConfig(name="golden", **about["kwargs"]))


@pytest.mark.parametrize("name", GOLDEN)
def test_weights_by_position_give_what_the_original_gives(name):
    file = read(FAMILY, name)
    net = load_by_position(original(name), list(state(file).values())).eval()

    got = run(net, file["input"])

    expected = [file[key] for key in sorted(file) if key.startswith("output")]
    for mine, theirs in zip(got if isinstance(got, list) else [got], expected, strict=True):
        assert_near(mine, theirs)


@pytest.mark.parametrize("name", GOLDEN)
def test_names_are_the_originals(name):
    assert list(original(name).state_dict()) == list(state(read(FAMILY, name)))


ROWS = [(index, size, told) for index, entry in enumerate(SHAPES) for size, told in entry["rows"]]
ERRORS = {"RuntimeError": MisfitError, "AssertionError": EquivarianceError}


@pytest.fixture(scope="module")
def shaped():
    """The networks of the file of shapes."""
    return [CNNectomeUNet({"name": "shapes", **entry["kwargs"]}) for entry in SHAPES]


@pytest.mark.parametrize(("index", "size", "told"), [row for row in ROWS if "output" in row[2]])
def test_a_size_gives_what_the_original_gives(shaped, index, size, told):
    net = shaped[index]
    net.check_size(size)

    assert [net.output_size(pixels, axis) for axis, pixels in enumerate(size)] == told["output"]


@pytest.mark.parametrize(("index", "size", "told"), [row for row in ROWS if "error" in row[2]])
def test_a_size_is_refused_where_the_original_fails(shaped, index, size, told):
    with pytest.raises(ERRORS[told["error"]], match=r"the nearest sizes that fit are \d+") as caught:
        shaped[index].check_size(size)

    # What the original tells behind the shape, which has no batch and channels here.
    _, _, told_behind = told["message"].partition("with factor")
    assert told_behind in str(caught.value)


def test_a_network_runs_at_the_sizes_that_it_tells():
    net = CNNectomeUNet({**TWO, "downsample_factors": [(2, 3), (3, 2)], "upsample_factors": [(1, 2)]}).eval()
    sizes = models.valid_sizes(net, around=1, count=2)

    shapes = [tuple(net(mcore.zeros(1, 1, *pair)).shape[2:]) for pair in zip(*sizes, strict=True)]

    assert shapes == list(zip(*(axis.values() for axis in sizes), strict=True))


kernels = st.lists(st.tuples(st.integers(1, 4)), min_size=1, max_size=2)


@given(
    factors=st.lists(st.tuples(st.integers(1, 3)), min_size=1, max_size=2),
    down=st.lists(kernels, min_size=3, max_size=3),
    up=st.lists(kernels, min_size=2, max_size=2),
    more=st.integers(1, 2),
)
def test_shifting_the_image_by_whole_steps_shifts_the_result(factors, down, up, more):
    net = CNNectomeUNetModule(1, 1, 1, factors, down, up, batch_norm=False, activation=None).eval()
    (least,), (step,), _, _ = net.minimal_shapes()
    x = np.random.default_rng(0).normal(size=(1, 1, least + step * (more + 1))).astype(np.float32)

    first, second = run(net, x[..., :-step]), run(net, x[..., step:])

    assert_near(second[..., :-step], first[..., step:])


def test_the_smallest_image_the_step_and_what_comes_of_it_are_told():
    shapes = CNNectomeUNet({**TWO, "downsample_factors": [(2, 2)] * 3, "input_shape": (100, 100)}).minimal_shapes()

    assert shapes == ((100, 100), (8, 8), (8, 8), (5, 5))


@trains
@pytest.mark.parametrize(
    "more",
    [
        {"downsample_factors": [(2, 3), (3, 2)]},
        {"kernel_size_down": [[(3, 1)], [(2, 3)], [(3, 3)]], "kernel_size_up": [[(3, 3), (2, 1)], [(1, 4)]]},
        {"padding": "same"},
        {"padding": "same", "keep_size": True, "kernel_size_down": [[2], [4], [3]]},
        {"upsample_factors": [(2, 1), (1, 3)]},
    ],
)
def test_the_field_of_view_is_what_a_pixel_of_the_result_depends_on(more):
    net = CNNectomeUNet({**TWO, **more}).eval()
    unet = net.unet[0] if net.upsample_factors else net.unet
    for name, parameter in net.named_parameters():
        parameter.data.fill_(1e-2 if "weight" in name else 1.0)
    # A maximum depends on one pixel alone at a time.
    unet.l_down = mcore.ModuleList(mcore.AvgPool2d(pool.kernel_size) for pool in unet.l_down)
    # So large that the borders don't cut it off.
    size = [max(sizes) for sizes in models.valid_sizes(net, around=120, count=1)]
    x = mcore.ones(1, 1, *size, requires_grad=True)
    result, seen = net(x)[0, 0], []

    middle = [pixels // 2 for pixels in result.shape]
    for step in range(24):
        at = [pixels - 12 + step for pixels in middle]
        (slopes,) = mcore.autograd.grad(result[at[0], at[1]], x, retain_graph=True)
        used = slopes[0, 0] != 0
        seen.append((int(used.any(1).sum()), int(used.any(0).sum())))

    assert tuple(map(max, zip(*seen, strict=True))) == net.field_of_view()


def test_with_same_padding_the_result_is_smaller_as_the_originals_is():
    asked = {**TWO, "downsample_factors": [(2, 2)] * 3, "padding": "same", "input_shape": (64, 64)}

    assert CNNectomeUNet(asked).output_size(64) == 60
    assert CNNectomeUNet({**asked, "keep_size": True}).output_size(64) == 64


def test_kept_sizes_are_kept_by_even_kernels_too():
    config = {**ONE, "padding": "same", "keep_size": True, "kernel_size_down": [[2], [4]], "kernel_size_up": [[(2, 5)]]}

    got = run(CNNectomeUNet(config).eval(), np.ones((1, 1, 8, 10), np.float32))

    assert got.shape == (1, 2, 8, 10)


def test_an_integer_is_a_kernel_along_every_axis():
    given = {"kernel_size_down": [[3, 3], [(3, 3)]], "kernel_size_up": [[3]], "downsample_factors": [2]}
    written = {
        "kernel_size_down": [[(3, 3)] * 2, [(3, 3)]],
        "kernel_size_up": [[(3, 3)]],
        "downsample_factors": [(2, 2)],
    }

    shapes = [
        {key: tuple(value.shape) for key, value in CNNectomeUNet({**ONE, **more}).state_dict().items()}
        for more in (given, written)
    ]

    assert shapes[0] == shapes[1]


def test_without_levels_the_last_convolution_gives_the_result():
    net = CNNectomeUNet({**ONE, "downsample_factors": [], "num_fmaps": 4, "fmaps_out": 3}).eval()

    assert [tuple(value.shape) for value in net.state_dict().values()] == [(4, 1, 3, 3), (4,), (3, 4, 3, 3), (3,)]
    assert run(net, np.ones((1, 1, 7, 6), np.float32)).shape == (1, 3, 3, 2)


def test_heads_share_the_way_down_alone():
    net = CNNectomeUNetModule(1, 2, 2, [(2, 2)], num_heads=2, num_fmaps_out=3).eval()

    got = run(net, np.ones((1, 1, 18, 18), np.float32))

    assert [y.shape for y in got] == [(1, 3, 2, 2)] * 2
    assert not np.array_equal(*got)
    assert sum(key.startswith("l_conv.0.") for key in net.state_dict()) == 14


def test_later_tails_have_the_kernels_of_the_way_down():
    tail = {"upsample_factors": [(2, 2)], "kernel_size_down": [[3], [5]], "kernel_size_up": [[1]]}

    kernels = [
        tuple(CNNectomeUNet({**ONE, **tail, **more}).state_dict()["unet.2.conv_pass.0.weight"].shape[2:])
        for more in ({}, {"tail_kernels": "down"})
    ]

    assert kernels == [(1, 1), (5, 5)]


@pytest.mark.parametrize(
    ("frames", "spans"), [(1, [1, 0, 0, 0]), (2, [2, 0, 0, 0]), (4, [3, 2, 0, 0]), (7, [3, 3, 3, 0]), (9, [3, 3, 3, 3])]
)
def test_kernels_of_a_film_span_time_while_there_are_frames(frames, spans):
    net = CNNectomeUNet({**FILMS, "input_shape": (frames, 18, 18, 18)})

    taps = [
        sum(key.startswith(f"unet.l_conv.{level}.conv_pass.{place}.conv3d_layers.") for key in net.state_dict()) // 2
        for level in (0, 1)
        for place in (0, 2)
    ]

    assert taps == spans


def test_a_film_exports_for_all_sizes_and_tells_its_frames(tmp_path):
    file = read(FAMILY, "cnn4d_time_1level")
    net = load_by_position(original("cnn4d_time_1level"), list(state(file).values())).eval()
    sizes = [(1, 1, 7, 20, 20, 20), (2, 1, 7, 22, 20, 20), (3, 1, 7, 20, 24, 22)]

    report = net.toplatform(tmp_path / "film", sizes=sizes, strict=True).report

    assert report.largest < 1e-5
    assert set(report.axes["x"]) == {0, 3, 4, 5}
    assert "x[2] = 7" in str(report)


@pytest.mark.parametrize(("frame", "seen"), [(0, True), (1, True), (2, False)])
def test_of_an_even_number_of_frames_the_former_middle_one_joins(frame, seen):
    # Two frames are left where the maps join: the former is made of the film's first two.
    down = [[(2, 3, 3, 3), (1, 3, 3, 3)], [(2, 3, 3, 3), (3, 3, 3)]]
    net = CNNectomeUNet({**FILMS, "input_shape": (3, 18, 18, 18), "kernel_size_down": down}).eval()
    # Nothing comes from below, and no activation cuts anything.
    for name, parameter in net.named_parameters():
        parameter.data = abs(parameter.data) * (".r_up." not in name)
    x = mcore.rand(1, 1, 3, 18, 18, 18).numpy()
    other = x.copy()
    other[:, :, frame] *= 5

    assert (not np.array_equal(run(net, x), run(net, other))) == seen


def test_valid_sizes_of_a_film_tell_its_frames():
    assert models.valid_sizes(CNNectomeUNet(FILMS), around=(4, 20, 18, 18), count=1) == [
        {5: 1},
        {20: 4},
        {18: 2},
        {18: 2},
    ]


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 1, 19, 18), r"Can not downsample shape \(15, 14\) with factor \(2, 2\), mismatch in spatial dimension 0"),
        ((1, 1, 16, 18), r"the map of \(2, 4\) pixels is smaller than the kernel \(3, 3\) of level 0 on the way up"),
        ((1, 1, 18, 20, 20), "the image has 5 axes, but it reads maps of 4, batch and channels among them"),
    ],
)
def test_an_image_that_does_not_fit_is_refused(shape, message):
    with pytest.raises(ValueError, match=message):
        CNNectomeUNet(ONE)(mcore.zeros(*shape))


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 1, 6, 18, 18, 18), "6 frames don't end in one. Of .*, the nearest sizes that fit are 5 along time"),
        ((1, 1, 5, 18, 18, 19), "mismatch in spatial dimension 2 .* fit are 18, 20, 22 along spatial dimension 2"),
        ((1, 1, 18, 18, 18), "the image has 5 axes, but kernels with time read films of 6"),
    ],
)
def test_a_film_that_does_not_fit_is_refused(shape, message):
    with pytest.raises(ValueError, match=message):
        CNNectomeUNet(FILMS)(mcore.zeros(*shape))


def test_a_tail_refuses_what_it_has_nothing_left_of():
    net = CNNectomeUNet({**ONE, "upsample_factors": [(2, 2)], "kernel_size_up": [[(3, 3), (3, 3)]]})

    with pytest.raises(MisfitError, match=r"smaller than the kernel \(3, 3\) of step 0 of the super-resolution tail"):
        net(mcore.zeros(1, 1, 18, 18))


REFUSED = [
    (ONE, {"padding": "full"}, "padding='full' is not 'same' or 'valid'"),
    (ONE, {"keep_size": True}, "keep_size=True keeps sizes, which padding='valid' doesn't"),
    (ONE, {"fmap_inc_factor": 1.5}, "fmap_inc_factor=1.5 is no whole number of 1 or more"),
    (ONE, {"num_fmaps": 0}, "num_fmaps=0 is no whole number of 1 or more"),
    (ONE, {"fmaps_out": 0}, "fmaps_out=0 is no whole number of 1 or more"),
    (ONE, {"fmaps_out": -1}, "fmaps_out=-1 is no whole number of 1 or more"),
    (ONE, {"input_shape": 44}, "input_shape=44 is no list of whole numbers from 1 on"),
    (ONE, {"input_shape": (44, 44.5)}, r"input_shape=\[44, 44.5\] is no list of whole numbers"),
    (ONE, {"batch_norm": "False"}, "batch_norm='False' is not one of True, False"),
    (ONE, {"eval_shape_increase": 5}, r"eval_shape_increase=5 is no list; give one entry .* as in \[5\]"),
    (ONE, {"upsample_factors": 2}, "upsample_factors=2 is no list"),
    (ONE, {"downsample_factors": 2}, "downsample_factors=2 is no list"),
    (ONE, {"downsample_factors": [2.0]}, r"downsample_factors\[0\]: 2.0 is no positive number"),
    (ONE, {"kernel_size_down": 3}, "kernel_size_down=3 is no list"),
    (ONE, {"kernel_size_down": [[3]]}, "kernel_size_down has kernels for 1 levels, but there are 2"),
    (ONE, {"kernel_size_up": []}, "kernel_size_up has kernels for 0 levels, but there are 1"),
    (ONE, {"kernel_size_down": [[3], []]}, r"kernel_size_down\[1\] has no kernel"),
    (ONE, {"kernel_size_down": [3, 3]}, r"kernel_size_down\[0\]=3 is no list of kernels; write \[3, 3\] for two"),
    (ONE, {"kernel_size_up": [["3"]]}, r"kernel_size_up\[0\]: '3' is no positive number, nor one for each of 2 axes"),
    (ONE, {"downsample_factors": [(2, 2, 2)]}, r"downsample_factors\[0\]: \(2, 2, 2\) is no positive number"),
    (ONE, {"downsample_factors": [(2, 0)]}, r"downsample_factors\[0\]: \(2, 0\) is no positive number"),
    (ONE, {"upsample_factors": [(2,)]}, r"upsample_factors\[0\]: \(2,\) is no positive number"),
    (ONE, {"input_shape": (1, 2, 3, 4, 5)}, r"input_shape=\(1, 2, 3, 4, 5\) has 5 entries; give 1 to 3"),
    (ONE, {"tail_kernels": "deepest"}, "tail_kernels='deepest' is not one of 'up', 'down'"),
    (
        ONE,
        {"padding": "same", "kernel_size_down": [[3], [4, 4]]},
        "even kernels make the map that comes to level 0 from below 4 pixels larger along axis 0",
    ),
    (FILMS, {"padding": "same"}, "padding='same' keeps frames of time, which have to become one"),
    (FILMS, {"input_shape": (11, 18, 18, 18)}, r"has 11 frames, but kernel_size_down takes 9 frames to leave one"),
    (FILMS, {"kernel_size_down": [[(3, 3, 3)], [(3, 3, 3)]]}, "has 5 frames, but kernel_size_down takes no time"),
    (FILMS, {"kernel_size_down": [[(3, 3, 3), (5, 3, 3, 3)], [3]]}, r"\(5, 3, 3, 3\) has time, but stands behind"),
    (FILMS, {"kernel_size_up": [[(3, 3, 3, 3)]]}, "kernel_size_up has kernels with time, of which nothing is left"),
    (
        FILMS,
        {"input_shape": (18, 18, 18), "kernel_size_down": [[(3, 3, 3, 3)], [3]]},
        "has no axis of time, but kernel_size_down takes 3 frames",
    ),
]


@pytest.mark.parametrize(("config", "more", "message"), REFUSED)
def test_what_does_not_go_together_is_refused(config, more, message):
    with pytest.raises(ValueError, match=message):
        CNNectomeUNet({**config, **more})


@pytest.mark.parametrize(("config", "more", "message"), REFUSED)
def test_verify_tells_what_would_be_refused(config, more, message):
    valid, told = CNNectomeUNetConfig(**{**config, **more}).verify()

    assert not valid
    with pytest.raises(ValueError, match=message):
        raise ValueError(told)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"activation": "Relu"}, "activation='Relu' is none of ReLU, .*; the nearest is 'ReLU'"),
        ({"upsample_channel_contraction": [True]}, r"upsample_channel_contraction=\[True\] are 1 for 2 steps up"),
        ({"upsample_channel_contraction": 1}, "upsample_channel_contraction=1 is no True or False"),
        ({"num_heads": 2, "downsample_factors": []}, "num_heads=2 are ways up, of which a single level has none"),
        ({"dims": 4}, "dims=4 is not 1, 2 or 3"),
    ],
)
def test_the_module_refuses_what_does_not_go_together(more, message):
    with pytest.raises(ValueError, match=message):
        CNNectomeUNetModule(
            **{
                "in_channels": 1,
                "num_fmaps": 2,
                "fmap_inc_factor": 2,
                **more,
                "downsample_factors": more.get("downsample_factors", [2, 2]),
            }
        )


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({}, "(44, 44) gives (4, 4); the field of view is (44, 44)"),
        (
            {"eval_shape_increase": (4, 8)},
            "(44, 44) gives (4, 4), (48, 52) gives (8, 12); the field of view is (44, 44)",
        ),
        (
            {"kernel_size_up": [[3], [3], [3]]},
            "(44, 44) gives (8, 8); the field of view is (40, 40); entries of kernel_size_up behind the last level "
            "aren't used",
        ),
    ],
)
def test_verify_tells_what_a_valid_configuration_gives(more, told):
    assert CNNectomeUNetConfig(**{**TWO, **more}).verify() == (True, told)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"input_shape": (44, 46)}, "(level 1). Of (44, 46), the nearest sizes that fit are 44, 48, 52 along spatial"),
        ({"eval_shape_increase": (4, 2)}, "44, 48, 52 along spatial dimension 1 (input_shape + eval_shape_increase)."),
        ({"eval_shape_increase": (4,)}, "eval_shape_increase=(4,) has 1 entries, but input_shape has 2."),
        ({"voxel_size": (4, 4, 4)}, "voxel_size=(4, 4, 4) has 3 entries, but input_shape has 2."),
    ],
)
def test_verify_tells_which_shape_does_not_fit(more, told):
    valid, message = CNNectomeUNetConfig(**{**TWO, **more}).verify()

    assert not valid
    assert told in message


def test_the_network_tells_what_its_configuration_says():
    config = CNNectomeUNetConfig(**TWO, eval_shape_increase=(8, 4), fov=(4, 4), voxel_size=(4, 4))

    net = config.architecture_type(config)

    told = (net.input_shape, net.eval_shape_increase, net.dims, net.num_in_channels, net.num_out_channels)
    assert told == ((44, 44), (8, 4), 2, 1, 2)
    assert (net.fov, net.voxel_size, net.upsample_factors) == ((4, 4), (4, 4), [])
    assert all(isinstance(value, Coordinate) for value in told[:2])


def test_nothing_more_is_predicted_where_nothing_is_said():
    assert CNNectomeUNet(FILMS).eval_shape_increase == (0, 0, 0, 0)


@pytest.mark.parametrize(
    ("size", "scaled"), [((4, 12, 12), (2, 2, 2)), (Coordinate(2, 6, None), (1, 1, None)), ((20, 6, 0), (10, 1, 0))]
)
def test_a_voxel_is_divided_by_the_factors_of_the_tail(size, scaled):
    net = CNNectomeUNet(
        {**ONE, "input_shape": (20,) * 3, "downsample_factors": [2], "upsample_factors": [2, (1, 3, 3)]}
    )

    assert net.scale(size) == scaled


def test_a_voxel_that_does_not_divide_is_refused():
    net = CNNectomeUNet({**ONE, "upsample_factors": [2, (1, 3)]})

    with pytest.raises(ValueError, match=r"voxel size \(5, 6\) isn't divisible by \(2, 6\)"):
        net.scale((5, 6))
    with pytest.raises(ValueError, match=r"voxel size \(2, 6, 6\) has 3 axes, but the network 2"):
        net.scale((2, 6, 6))
    with pytest.raises(ValueError, match=r"voxel size \(2.5, 6\) has fractions; give it in a finer unit"):
        net.scale((2.5, 6))


def test_a_network_without_tail_leaves_voxels_as_they_are():
    assert CNNectomeUNet(FILMS).scale((1, 5, 3, 3)) == (1, 5, 3, 3)


def test_a_configuration_comes_back_whole():
    config = CNNectomeUNetConfig(**TWO, kernel_size_down=[[3], [(3, 1)], [3]], voxel_size=(4.5, 4))
    net = CNNectomeUNet(config)

    again = models.from_config(json.loads(json.dumps(net.config())))

    assert again.config() == net.config()
    assert again.architecture_config.voxel_size == [4.5, 4]
    assert {k: tuple(v.shape) for k, v in again.state_dict().items()} == {
        k: tuple(v.shape) for k, v in net.state_dict().items()
    }


def test_an_artifact_comes_back_as_the_network(tmp_path):
    net = CNNectomeUNet(CNNectomeUNetConfig(**ONE)).eval()
    art = net.toplatform(tmp_path / "net", sizes=[(1, 1, 18, 18), (2, 1, 20, 22), (3, 1, 24, 18)])
    x = np.ones((1, 1, 20, 20), np.float32)

    again = CNNectomeUNet.fromplatform(art.path).eval()

    assert_near(run(again, x), run(net, x))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({**ONE, "kernel_sizes_up": None}, "has no field 'kernel_sizes_up' .did you mean 'kernel_size_up'"),
        (
            {"name": "x", "input_shape": (4,)},
            "needs fmaps_out, fmaps_in, num_fmaps, fmap_inc_factor, downsample_factors",
        ),
        ({**ONE, "__type__": "DummyArchitectureConfig"}, "is stored as a DummyArchitectureConfig; give a CNN"),
        (3, "architecture_config is a int; give a CNNectomeUNetConfig, or its fields"),
        (ArchitectureConfig("x"), "architecture_config is a ArchitectureConfig; give a CNNectomeUNetConfig"),
    ],
)
def test_a_configuration_of_other_fields_is_refused(given, message):
    with pytest.raises(TypeError, match=message):
        CNNectomeUNet(given)


def test_a_configuration_is_read_as_dacapo_stores_it():
    net = CNNectomeUNet({"__type__": "CNNectomeUNetConfig", **ONE, "_eval_shape_increase": [4, 4]})

    assert net.eval_shape_increase == (4, 4)
    assert "_eval_shape_increase" not in net.config()["model"]["architecture_config"]


def test_the_module_is_new_each_time_and_has_no_prefix():
    net = CNNectomeUNet(ONE)

    fresh = net.module()

    assert [f"unet.{key}" for key in fresh.state_dict()] == list(net.state_dict())
    assert not (fresh.state_dict()["l_conv.0.conv_pass.0.weight"] == net.unet.l_conv[0].conv_pass[0].weight).all()


TAIL = {"upsample_factors": [(2, 2)]}
# How a name of `unet.l_conv` begins in files of DaCapo's, and whether the network stands there twice.
ERAS = {
    "network": [""],
    "wrapper": ["architecture.", "chain.0."],
    "later network": [None],
    "later wrapper": ["architecture.", "chain.0.", None],
}


@pytest.mark.parametrize("tail", [{}, TAIL], ids=["plain", "tail"])
@pytest.mark.parametrize("era", ERAS)
def test_files_of_dacapos_load_whatever_wrote_them(era, tail):
    theirs = CNNectomeUNet({**ONE, **tail})
    bare = None in ERAS[era]
    state = {key.removeprefix("unet.") if bare else key: value for key, value in theirs.state_dict().items()}
    prefixes = [prefix for prefix in ERAS[era] if prefix is not None] or [""]
    state = {f"{prefix}{key}": value for prefix in prefixes for key, value in state.items()}
    if len(prefixes) > 1:
        state |= {f"{name}.weight": mcore.zeros(3, 2, 1, 1) for name in ("prediction_head", "chain.1")}

    loaded = CNNectomeUNet({**ONE, **tail}, weights={"state": {"model": state}})

    assert loaded.weights_report.missing == []
    assert all((loaded.state_dict()[key] == value).all() for key, value in theirs.state_dict().items())


def test_the_module_reads_files_of_the_network():
    theirs = CNNectomeUNet(ONE)
    alone = {
        "in_channels": 1,
        "num_fmaps": 2,
        "fmap_inc_factor": 2,
        "downsample_factors": [2],
        "dims": 2,
        "num_fmaps_out": 2,
    }
    more = {"constant_upsample": True, "activation_on_upsample": True, "batch_norm": False}

    loaded = CNNectomeUNetModule(**alone, **more, weights={"state": theirs.state_dict()})

    assert loaded.weights_report.missing == []


def test_other_channels_of_an_image_are_adapted():
    loaded = CNNectomeUNet({**ONE, "fmaps_in": 2}, weights={"state": CNNectomeUNet(ONE).state_dict()})

    assert loaded.weights_report.adapted == ["unet.l_conv.0.conv_pass.0.weight"]


def test_the_dummy_is_one_convolution_that_is_never_valid():
    config = DummyArchitectureConfig("dummy", 2, 3)

    net = config.architecture_type(config)

    assert config.verify() == (False, "This is a DummyArchitectureConfig and is never valid")
    assert {key: tuple(value.shape) for key, value in net.state_dict().items()} == {
        "conv.weight": (3, 2, 3, 3, 3),
        "conv.bias": (3,),
    }
    assert (net.input_shape, net.eval_shape_increase) == ((40, 20, 20), (0, 0, 0))
    assert tuple(net.output_size(pixels, axis) for axis, pixels in enumerate(net.input_shape)) == (38, 18, 18)


class Half(Architecture):
    """An architecture that lacks its channels."""

    @property
    def input_shape(self):
        return Coordinate(4, 4)


class Whole(Half):
    num_in_channels = 1
    num_out_channels = 1


def test_an_architecture_that_lacks_a_part_is_not_made():
    with pytest.raises(TypeError, match="abstract"):
        Half()


def test_an_architecture_tells_what_follows_from_its_shape():
    net = Whole()

    assert (net.dims, net.eval_shape_increase, net.scale(Coordinate(5, 5))) == (2, (0, 0), (5, 5))


def test_every_configuration_is_valid_where_a_class_says_nothing():
    assert ArchitectureConfig("mine").verify() == (True, "No validation for this Architecture")


def test_a_changed_configuration_is_one_of_its_own():
    config = CNNectomeUNetConfig(**ONE)

    assert replace(config, fmaps_out=3).fmaps_out == 3
    assert config == CNNectomeUNetConfig(**ONE)


def test_a_network_keeps_what_it_was_made_with_when_its_configuration_changes():
    config = CNNectomeUNetConfig(**{**ONE, "input_shape": [18, 18]})
    net = CNNectomeUNet(config)

    config.input_shape[0], config.fmaps_out = 99, 7

    assert (net.input_shape, net.module().out_channels) == ((18, 18), ONE["fmaps_out"])


def test_the_dummy_is_built_by_name():
    net = models.create(
        "DummyArchitecture", architecture_config={"name": "d", "num_in_channels": 1, "num_out_channels": 1}
    )

    assert isinstance(net, DummyArchitecture)
