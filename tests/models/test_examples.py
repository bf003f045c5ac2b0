"""Every public part has an example or a reason why not, and is whole, random and exportable at its sizes."""

import numpy as np
import pytest

import mcore
from mcore.exchange.compare import difference
from models.component import Feeds, Unbuilt
from models.examples import PACKAGES, built, constructor, declared, pixels, public, sizes_of
from models.examples import arguments as given
from models.examples.arguments import arguments
from models.examples.building import stir
from models.examples.pixels import wanted
from models.utils.maps import OfMaps
from tests.isolation import run
from tests.models.running import tensors
from tools.support import plan

EXCLUDED = plan.read().exclusions
ROWS = [(kind, name) for kind in PACKAGES for name in public(kind) if name not in EXCLUDED.get(kind, {})]
# Across the kinds, quick ones: what is fed an image, maps, pairs or squares; specs; a Sized network; lists of results.
SAMPLE = [
    *(("network", name) for name in ("LeNet", "SegResNet", "VRUNet", "CNNectomeUNet", "ConvBlock")),
    *(("backbone", name) for name in ("resnet18", "mobilenetv2_035")),
    *(("neck", name) for name in ("FPN", "Attend")),
    *(("head", name) for name in ("Classification", "UNetDecoder", "CenterNet", "DeepSupervision")),
    *(("attention", name) for name in ("CBAM", "CrissCross", "WindowAttention")),
    *(("block", name) for name in ("Bottleneck", "SplitTuple", "AvgPool2DFlatten", "MultiHeadedOutput", "BilinearUp")),
]
# Single precision through a hundred layers: see mcore.exchange.compare.
DEEP = 1e-4


def drawn(shapes, seed=0):
    """Inputs of these shapes."""
    random = np.random.default_rng(seed)
    return tuple(mcore.from_numpy(random.standard_normal(shape).astype(np.float32)) for shape in shapes)


def exported(kind, name, folder):
    """The artifact of a part at all its sizes, and the part."""
    net = built(kind, name)
    sets = [drawn(shapes, seed) for seed, shapes in enumerate(sizes_of(kind, name, net))]
    return mcore.toplatform(net, folder, inputs=sets, strict=True), net


@pytest.mark.parametrize("kind", PACKAGES)
def test_every_public_part_has_the_arguments_that_it_needs(kind):
    for name in public(kind):
        if name not in EXCLUDED.get(kind, {}):
            assert isinstance(arguments(kind, name), dict)


def test_a_part_that_needs_an_example_and_has_none_is_told(monkeypatch):
    monkeypatch.setattr("models.examples.arguments.ARGUMENTS", {})

    with pytest.raises(ValueError, match=r"block BasicBlock needs in_channels, width; put an example into OTHERWISE"):
        arguments("block", "BasicBlock")


def test_kinds_and_names_that_are_not_there_are_refused():
    with pytest.raises(ValueError, match="no kind 'brick'; there are network, backbone"):
        public("brick")
    with pytest.raises(AttributeError, match="no 'resnet81'; the nearest names are resnet1"):
        built("backbone", "resnet81")


@pytest.mark.parametrize("kind", PACKAGES)
def test_every_public_part_has_three_sizes_that_differ(kind):
    for name in public(kind):
        for sizes in wanted(kind, name).values():
            assert len(set(sizes)) >= 3, name
            assert len({len(size) for size in sizes}) == 1, name


def test_what_is_written_of_a_part_is_told_without_loading_an_engine():
    code = """
    import sys
    from models.examples import PACKAGES, declared, public
    print(sum(bool(declared(kind, name)["sizes"]) for kind in PACKAGES for name in public(kind)))
    print({"torch", "onnx", "onnxruntime", "numpy"} & {*sys.modules})
    """

    told, loaded = run(code).splitlines()

    assert int(told) == sum(len(public(kind)) for kind in PACKAGES)
    assert loaded == "set()"


def test_what_is_written_of_a_part_changes_with_its_arguments_and_sizes_and_with_no_other_part(monkeypatch):
    before = declared("neck", "Attend"), declared("neck", "FPN")

    monkeypatch.setitem(given.OTHERWISE, ("neck", "Attend"), {"attention": "SE"})
    monkeypatch.setitem(pixels.OTHERWISE, ("neck", "FP*"), ((1, 8, 8), (2, 9, 8), (3, 7, 7)))

    assert declared("neck", "Attend")["arguments"] != before[0]["arguments"]
    assert declared("neck", "Attend")["sizes"] == before[0]["sizes"]
    assert declared("neck", "FPN")["sizes"] != before[1]["sizes"]


@pytest.mark.parametrize(("kind", "name"), SAMPLE)
def test_a_part_exports_at_its_sizes_and_comes_back(kind, name, tmp_path):
    artifact, net = exported(kind, name, tmp_path / "part")

    assert artifact.report.largest < DEEP
    assert len(artifact.samples) >= 3
    again = type(net).fromplatform(tmp_path / "part")
    fed = drawn(sizes_of(kind, name, net)[0])
    with mcore.no_grad():
        for got, expected in zip(tensors(again(*fed)), tensors(net(*fed)), strict=True):
            assert difference(got.numpy(), expected.numpy()) < DEEP


def test_parts_are_built_and_export_where_there_is_no_torch():
    code = f"""
    import tempfile
    from tests.models.test_examples import exported
    for kind, name in {[("head", "UNetDecoder"), ("network", "VRUNet"), ("block", "MultiHeadedOutput")]}:
        with tempfile.TemporaryDirectory() as folder:
            print(exported(kind, name, folder + "/part")[0].report.largest < {DEEP})
    """

    assert run(code, engine="platform", without=["torch"]).split() == ["True"] * 3


@pytest.mark.long
@pytest.mark.parametrize(("kind", "name"), ROWS)
def test_every_part_exports_at_its_sizes(kind, name, tmp_path):
    artifact, _ = exported(kind, name, tmp_path / "part")

    assert artifact.report.largest < DEEP
    assert len(artifact.samples) >= 3


def test_a_part_has_the_same_weights_each_time_and_none_that_count_for_nothing():
    first, second = built("backbone", "convnext_atto").state_dict(), built("backbone", "convnext_atto").state_dict()

    for key, value in first.items():
        np.testing.assert_array_equal(value.numpy(), second[key].numpy(), err_msg=key)
        assert value.numel() == 1 or np.ptp(value.numpy()) > 0.1 * np.abs(value.numpy()).max(), key


def test_what_a_constructor_drew_itself_and_constants_stay():
    mcore.manual_seed(0)
    net = mcore.Sequential(mcore.Conv2d(3, 4, 3), mcore.BatchNorm2d(4))
    net.register_buffer("grid", mcore.ones(5))
    before = {key: value.detach().numpy().copy() for key, value in net.state_dict().items()}

    stir(net)

    after = {key: value.detach().numpy() for key, value in net.state_dict().items()}
    changed = {key for key in before if not np.array_equal(before[key], after[key])}
    assert changed == {"1.weight", "1.bias", "1.running_mean", "1.running_var"}
    assert after["1.running_var"].min() >= 0.5


def test_calm_norms_are_bounded_and_told_of_their_rows_alone():
    gains = [v.numpy() for k, v in built("backbone", "ecaresnet101d").state_dict().items() if k.endswith("bn3.weight")]
    wide = [v.numpy() for k, v in built("backbone", "resnet18").state_dict().items() if k.endswith("bn2.weight")]

    assert 1.15 < max(gain.max() for gain in gains) <= 1.2
    assert max(gain.max() for gain in wide) > 1.4
    assert declared("backbone", "ecaresnet101d")["calm"] == 1.2
    assert "calm" not in declared("backbone", "resnet18")


def test_a_calmed_network_still_depends_on_its_image():
    net = built("backbone", "mobilenetv2_120d")
    first, second = (drawn([(1, 3, 64, 48)], seed) for seed in (0, 1))

    with mcore.no_grad():
        for a, b in zip(net(*first), net(*second), strict=True):
            assert difference(a.numpy(), b.numpy()) > 100 * DEEP


def fpn_head(name, **given):
    """A head of two maps."""
    return Unbuilt(constructor("head", name), given).build(Feeds((8, 8), (4, 8), 2)).eval()


def test_a_dense_heads_result_is_brought_to_the_size_of_the_image():
    head, fed = fpn_head("Segmentation", num_classes=3), drawn([(2, 8, 7, 5), (2, 8, 4, 3)])

    assert tuple(OfMaps(head, stride=4)(*fed).shape) == (2, 3, 28, 20)
    assert tuple(OfMaps(head)(*fed).shape) == (2, 3, 7, 5)


def test_a_part_that_knows_no_image_is_given_no_stride():
    with pytest.raises(TypeError, match="Classification takes no size of an image; leave stride=4 out"):
        OfMaps(fpn_head("Classification", num_classes=3), stride=4)
