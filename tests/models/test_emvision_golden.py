"""EMVision's networks: what the originals gave, from their weights, by position and by name."""

import json

import numpy as np
import pytest

import mcore
from mcore.registry import create
from models import networks
from models.basicblocks import BilinearUp
from models.functional import volumes
from models.utils import triples
from models.utils.summary import parameters
from tests.models import golden_files
from tests.models.golden_files import assert_near

trains = pytest.mark.skipif(mcore.backend() != "torch", reason="only the torch engine has gradients")

FAMILY = "emvision"
FILES = sorted(path.stem for path in (golden_files.FOLDER / FAMILY).glob("p*.npz") if not path.stem.startswith("p19"))
files = pytest.mark.parametrize("name", FILES)
CASES = json.loads((golden_files.FOLDER / FAMILY / "cases.json").read_text())


def built(file, **more):
    """The network that a file says it is of."""
    said = golden_files.said(file)
    arguments = dict(said["args"])
    # torms3's network of this name has batch norms.
    if "torms3" in json.dumps(said) or arguments.get("norm") == "BatchNorm3d":
        arguments["norm"] = "batch"
    return getattr(networks, said["constructor"].partition(".")[0])(**arguments, **more)


def loaded(name):
    """A golden file, and its network with its weights."""
    file = golden_files.read(FAMILY, name)
    return file, mcore.checkpoint.load_by_position(built(file), [*golden_files.state(file).values()])


def steps(file, key):
    """The outputs of a file under this name, by the options of the call."""
    found = {name: value for name, value in file.items() if name.startswith(key)}
    return {int(name.rpartition("_u")[2]) if "_u" in name else None: value for name, value in found.items()}


def options(unroll):
    return {} if unroll is None else {"unroll": unroll}


@files
def test_a_network_gives_what_the_original_gave(name):
    file, net = loaded(name)

    for unroll, expected in steps(file, "out_eval").items():
        assert_near(golden_files.run(net.eval(), file["input"], **options(unroll)), expected)


BATCH_NORMED = [name for name in FILES if steps(golden_files.read(FAMILY, name), "out_train")]


@pytest.mark.parametrize("name", BATCH_NORMED)
def test_training_gives_what_the_original_gave_and_moves_its_statistics(name):
    for unroll in steps(golden_files.read(FAMILY, name), "out_train"):
        file, net = loaded(name)

        got = golden_files.run(net.train(), file["input"], **options(unroll))

        step = "" if unroll is None else f"_u{unroll}"
        assert_near(got, file[f"out_train{step}"])
        moved = [value.numpy().ravel() for key, value in net.state_dict().items() if "running_" in key]
        np.testing.assert_allclose(np.concatenate(moved), file[f"post_train_stats{step}"], rtol=1e-4, atol=1e-5)


@trains
@files
def test_gradients_are_the_originals(name):
    for key in (key for key in golden_files.read(FAMILY, name) if key.startswith("train_loss")):
        file, net = loaded(name)
        step = key.removeprefix("train_loss")

        loss = (net.train()(mcore.from_numpy(file["input"]), **options(int(step[2:]) if step else None)) ** 2).mean()
        loss.backward()

        np.testing.assert_allclose(loss.item(), file[key], rtol=1e-4)
        expected = file[f"train_grad_l2{step}"]
        norms = [0.0 if p.grad is None else float(p.grad.norm()) for p in net.parameters()]
        # README: 1e-3 of each, and of the largest.
        assert (np.abs(np.array(norms) - expected) <= 1e-3 * (expected + 1e-3 * expected.max())).all()


@files
@pytest.mark.parametrize("prefix", ["", "module.core."])
def test_a_file_of_the_originals_names_loads_whole(name, prefix, tmp_path):
    file, net = loaded(name)
    path = tmp_path / "theirs.safetensors"
    theirs = golden_files.state(file).items()
    mcore.save({f"{prefix}{key}": mcore.from_numpy(np.array(value)) for key, value in theirs}, path)

    again = built(file, weights=path)

    assert again.weights_report.missing == again.weights_report.unexpected == again.weights_report.assumed == []
    for (key, got), expected in zip(again.state_dict().items(), net.state_dict().values(), strict=True):
        np.testing.assert_array_equal(got.numpy(), expected.numpy(), err_msg=key)


@files
def test_the_image_stays_as_it_is(name):
    file, net = loaded(name)
    x = mcore.from_numpy(file["input"].copy())

    for unroll in steps(file, "out_eval"):
        net.eval()(x, **options(unroll))

    np.testing.assert_array_equal(x.numpy(), file["input"])


@pytest.mark.parametrize("case", range(4))
def test_bilinear_up_is_the_originals(case):
    file = golden_files.read(FAMILY, "p19_bilinear_up")
    factor = json.loads(str(file["meta_json"]))["cases"][case]["factor"]
    up = BilinearUp(3, 3, factor)

    np.testing.assert_array_equal(up.weight.numpy(), file[f"{case}|weight"])
    for key in ("output", "output_of_ones"):
        x = file[f"{case}|input"] if key == "output" else np.ones_like(file[f"{case}|input"])
        assert_near(golden_files.run(up, x), file[f"{case}|{key}"], tolerance=1e-6)


def value(argument):
    """An argument of a case: `{"arange": shape}` is a volume of ascending numbers."""
    if isinstance(argument, dict):
        shape = argument["arange"]
        return mcore.from_numpy(np.arange(np.prod(shape), dtype=np.float32).reshape(shape))
    return argument


@pytest.mark.parametrize("case", CASES["utils"], ids=lambda case: f"{case['fn']}-{case['args'][1]}"[:40])
def test_a_utility_gives_what_the_original_gave(case):
    function = getattr(triples if hasattr(triples, case["fn"]) else volumes, case["fn"])
    arguments = [value(argument) for argument in case["args"]]

    if "error" in case:
        with pytest.raises(ValueError, match=case["fn"]):
            function(*arguments)
    elif isinstance(case["result"], dict):
        got = function(*arguments).numpy()
        assert list(got.shape) == case["result"]["tensor_shape"]
        np.testing.assert_array_equal(got.ravel(), case["result"]["flat"])
    else:
        assert function(*arguments) == tuple(case["result"])


# Refused there for no reason: two volumes at a time.
MENDED = [case for case in CASES["models"] if case.get("input", [1])[0] == 2]
# What is said of a size, of channels, of a single value, and of a step that isn't there.
REFUSED = "pixels along|should contain|channels|Expected more than 1|leave a single pixel|none of its steps"


@pytest.mark.parametrize("case", CASES["models"], ids=lambda case: f"{case['ctor']}-{case['args']}"[:60])
def test_a_constructor_and_its_sizes_are_as_in_the_original(case):
    if "ctor_error" in case:
        # What the registry checks before is no error of the constructor's.
        with pytest.raises((ValueError, TypeError), match=case["ctor"]):
            create(case["ctor"], **case["args"])
        return
    with mcore.device("meta"):
        net = create(case["ctor"], **case["args"])
    assert parameters(net) == case["params"]
    assert len(net.state_dict()) == case["state_entries"]
    assert len(list(net.parameters())) == case["param_tensors"]
    if "input" not in case:
        return
    net, x = create(case["ctor"], **case["args"]).train(case["train"]), mcore.zeros(*case["input"])
    if "output" in case or case in MENDED:
        assert list(net(x, **case["forward_kwargs"]).shape) == case.get("output", [2, *net(x[:1]).shape[1:]])
    else:
        with pytest.raises((ValueError, RuntimeError), match=REFUSED):
            net(x, **case["forward_kwargs"])


# Right there: factors of 2, and convolutions that take something off every axis.
RIGHT = [case for case in CASES["runet_patch"] if case["args"].get("mode") != "same" and "1" not in str(case["args"])]


@pytest.mark.parametrize("case", CASES["runet_patch"], ids=lambda case: str(case["args"]))
def test_margins_and_patches_of_runet_are_the_originals_where_these_are_right(case):
    net = networks.RUNet(**case["args"])

    assert net.crop_margin == tuple(case["crop_margin"])
    assert net.inner_crop_margins == [tuple(margin) for margin in case["inner_crop_margins"]]
    if case in RIGHT:
        for side in ("input_patch_sizes", "output_patch_sizes"):
            assert getattr(net, side)(case["num_shapes"]) == [tuple(size) for size in case[side]]


@pytest.mark.parametrize("case", CASES["dtu2_crops"], ids=lambda case: str(case["args"]))
def test_crops_of_dtu2_are_the_originals(case):
    with mcore.device("meta"):
        net = networks.DTU2(**({"kszs": [[1, 3, 3]] * 2 + [3, 3]} | case["args"]))

    for name in ("crops", "down_crop", "up_crop"):
        assert getattr(net, name) == [tuple(crop) for crop in case[name]]
