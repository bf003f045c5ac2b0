"""Targets: folders' names, which no two share; data that loads no engine; networks, sizes and memory from them."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mcore
import models
from models.examples.pixels import IMAGES, MAPS, wanted
from tests.isolation import run
from tools.support.building import TargetError, build, inputs_of, memory, memory_of
from tools.support.targets import Target, sizes_of

UNET = {"in_channels": 1, "num_classes": 2}
CONFIG = "model: {backbone: {type: resnet18, in_channels: 1}, head: {type: Segmentation, num_classes: 2}}"
words = st.text("ab", max_size=2)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-2, 2), st.floats(-2, 2), words),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(words, inner, max_size=2)),
    max_leaves=4,
)


def title(target):
    return target.name.rpartition("-")[0]


@pytest.mark.parametrize(
    ("target", "name"),
    [
        (Target.network("UNet", UNET), "UNet"),
        (Target.assembly("resnet18"), "resnet18"),
        (Target.assembly("resnet18", head={"type": "Classification", "num_classes": 10}), "resnet18-Classification"),
        (Target.assembly("resnet18", "FPN", "Segmentation"), "resnet18-FPN-Segmentation"),
        (Target.network("convnet/UNet"), "convnet_UNet"),
        (Target.network("../..\n"), "network"),
        (Target.part("neck", "FPN"), "FPN"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_folder_is_called_by_the_names_of_the_parts_and_eight_digits(target, name):
    assert title(target) == name
    assert len(target.name.rpartition("-")[2]) == 8


def test_the_order_of_parameters_and_the_kind_of_sequence_make_no_difference():
    one = Target.network("UNet", {"in_channels": 1, "channels": (4, 8), "num_classes": 2})
    other = Target.network("UNet", {"num_classes": 2, "channels": [4, 8], "in_channels": 1})

    assert (one.name, one.request) == (other.name, other.request)


@pytest.mark.parametrize(
    "other",
    [
        Target.network("unet", UNET),
        Target.network("UNet", {**UNET, "num_classes": 3}),
        Target.network("UNet", {**UNET, "num_classes": 2.0}),
        Target.network("UNet", {**UNET, "num_classes": True}),
        Target.network("UNet", {**UNET, "num_classes": "2"}),
        Target.network("UNet", {**UNET, "weights": None}),
        Target.network("UNet", UNET, half=True),
        Target.network("UNet", UNET, opset=18),
        Target.assembly({"type": "UNet", **UNET}),
        Target.part("network", "UNet"),
    ],
    ids=["case", "value", "float", "bool", "text", "none", "half", "opset", "backbone", "example"],
)
def test_what_changes_what_is_made_changes_the_folder(other):
    assert other.name != Target.network("UNet", UNET).name


@given(st.dictionaries(words, values, max_size=3), st.dictionaries(words, values, max_size=3))
def test_equal_parameters_share_a_folder_and_others_do_not(one, other):
    same = Target.network("UNet", one).identity == Target.network("UNet", other).identity

    # By text: 1 == True and 1 == 1.0, which constructors may tell apart.
    assert same == (repr(_ordered(one)) == repr(_ordered(other)))


def _ordered(value):
    if isinstance(value, dict):
        return sorted((key, _ordered(item)) for key, item in value.items())
    return [_ordered(item) for item in value] if isinstance(value, list) else value


def test_sizes_and_devices_leave_the_folder_and_sizes_are_asked_for():
    plain = Target.network("UNet", UNET)
    sized = Target.network("UNet", UNET, sizes=[(1, 1, 32, 32)], device="cuda:0")

    assert sized.name == plain.name
    assert (sized.request["sizes"], plain.request["sizes"]) == ([[[1, 1, 32, 32]]], None)


def test_weights_count_by_what_is_in_the_file(tmp_path):
    for name, text in (("a", "one"), ("b", "one"), ("c", "two")):
        (tmp_path / name).write_text(text)

    a, b, c = (Target.network("UNet", UNET, weights=tmp_path / name).name for name in "abc")

    assert a == b != c
    assert a != Target.network("UNet", UNET).name


def test_weights_inside_of_a_configuration_count_too(tmp_path):
    (tmp_path / "w").write_text("one")
    model = {"type": "resnet18", "weights": {"file": str(tmp_path / "w"), "take": "backbone.*"}}
    before = Target.assembly(model, head="Segmentation").name
    (tmp_path / "w").write_text("two")

    assert Target.assembly(model, head="Segmentation").name != before


def test_a_configuration_counts_as_it_is_read(tmp_path):
    (tmp_path / "base.yaml").write_text(CONFIG)
    (tmp_path / "net.yaml").write_text("extends: base.yaml\n# a comment\ntrain: {epochs: 3}\n")
    (tmp_path / "same").mkdir()
    (tmp_path / "same" / "net.yaml").write_text(CONFIG)

    one = Target.configured(tmp_path / "net.yaml")
    same = Target.configured(tmp_path / "same" / "net.yaml")

    assert one.name == same.name
    assert Target.configured(tmp_path / "net.yaml", ["head.num_classes=5"]).name != one.name


def test_a_name_that_means_another_constructor_is_another_request():
    target = Target.assembly("resnet18", "FPN", {"type": "Segmentation", "num_classes": 2})

    assert target.request["places"] == {
        "backbone resnet18": "models.backbones.resnet:resnet18",
        "neck FPN": "models.necks.fpn:FPN",
        "head Segmentation": "models.heads.segmentation:Segmentation",
    }


def test_targets_go_to_other_processes_as_they_are():
    target = Target.assembly("resnet18", head={"type": "Classification", "num_classes": 10}, half=True)

    assert pickle.loads(pickle.dumps(target)) == target


def test_targets_load_no_engine():
    printed = run(
        """
        import sys
        from tools.support.targets import Target
        Target.network("UNet", {"in_channels": 1}).name
        Target.assembly("resnet18", head="Segmentation").name
        Target.part("neck", "FPN").name
        print([name for name in ("torch", "onnxruntime", "models.backbones") if name in sys.modules])
        """
    )

    assert printed == "[]"


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Target.network("UNet", {"norm": print}).name, TypeError, "<built-in function print> is no plain data"),
        (lambda: Target.network("UNet", UNET, weights="none.pth").name, FileNotFoundError, "no file none.pth"),
        (lambda: Target.network("UNet", UNET, weights={"state": {}}).name, TypeError, "names no file"),
        (lambda: Target.assembly({"depth": 3}), ValueError, "backbone: {'depth': 3} names no type"),
        (lambda: Target.network("UNet", sizes=[(1, 0, 3)]), ValueError, r"\(1, 0, 3\) is no shape"),
        (lambda: Target.network("UNet", sizes=[(1, 3), [(1, 3), (1, 3)]]), ValueError, "different numbers of inputs"),
        (lambda: Target.configured("none.yaml"), FileNotFoundError, "No such file"),
    ],
    ids=["object", "no-file", "state", "no-type", "no-shape", "inputs", "no-config"],
)
def test_bad_targets_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_sizes_are_of_one_input_or_of_several():
    assert sizes_of([[1, 3, 64], ((2, 3, 80),)]) == (((1, 3, 64),), ((2, 3, 80),))
    assert sizes_of([[(1, 3, 64), (1, 7)]]) == (((1, 3, 64), (1, 7)),)


# --- networks


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (Target.network("UNett", UNET), "UNett: model.type: no network 'UNett'; the nearest names are UNet"),
        (Target.network("resnet18"), "resnet18: model.type: no network 'resnet18'; 'resnet18' is a backbone"),
        (Target.network("UNet"), "UNet: model: UNet needs the argument 'in_channels'"),
        (Target.network("UNet", {**UNET, "num_clases": 2}), "has no argument 'num_clases' .did you mean 'num_classes'"),
        (Target.network("UNet", {**UNET, "channels": [0]}), "UNet: "),
        (Target.assembly("resnet18", "FPNN"), "resnet18-FPNN: model.neck.type: no neck 'FPNN'; the nearest names"),
        (Target.assembly("resnet18", head="Classification"), "Classification needs the argument 'num_classes'"),
        (Target.part("neck", "FPNN"), "FPNN: "),
        (Target.network("LeNet", device="cuda:77"), "LeNet: device 'cuda:77' is not available"),
    ],
    ids=lambda value: value.title if isinstance(value, Target) else "",
)
def test_what_a_constructor_refuses_is_told_with_the_target(target, message):
    with pytest.raises(TargetError, match=message):
        build(target)


def test_the_same_target_has_the_same_weights_and_is_in_eval_mode():
    one, other = (build(Target.network("LeNet", {"num_classes": 3})) for _ in range(2))

    assert not one.training
    for key, value in one.state_dict().items():
        assert mcore.equal(value, other.state_dict()[key])


def test_weights_come_from_a_file(tmp_path):
    net = models.create("LeNet", num_classes=3)
    mcore.save(net.state_dict(), tmp_path / "w.safetensors")

    loaded = build(Target.network("LeNet", {"num_classes": 3}, weights=tmp_path / "w.safetensors"))

    assert all(mcore.equal(value, loaded.state_dict()[key]) for key, value in net.state_dict().items())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.popitem(), "1 missing.*; 1 entries would keep random values: "),
        (lambda state: state.update({key: mcore.zeros(7, 7) for key in state}), "doesn't fit, and nothing was loaded"),
        (lambda state: state.clear(), "holds no tensors"),
    ],
    ids=["missing", "shapes", "empty"],
)
def test_weights_that_are_not_all_there_are_refused(tmp_path, change, message):
    state = dict(models.create("LeNet", num_classes=3).state_dict())
    change(state)
    mcore.save(state, tmp_path / "w.safetensors")

    with pytest.raises(TargetError, match=message):
        build(Target.network("LeNet", {"num_classes": 3}, weights=tmp_path / "w.safetensors"))


@pytest.mark.parametrize(
    ("target", "shapes"),
    [
        (Target.network("UNet", UNET), [(n, 1, *pixels) for n, *pixels in wanted("network", "UNet")[2]]),
        (Target.network("LeNet", {"num_classes": 3}), [(1, 1, 32, 32), (2, 1, 32, 32), (3, 1, 32, 32)]),
        (Target.assembly({"type": "resnet10t", "in_channels": 4, "dims": 1}), [(n, 4, x) for n, x in IMAGES[1]]),
        (Target.part("attention", "CBAM"), [(n, 64, *pixels) for n, *pixels in MAPS[2]]),
        (Target.network("LeNet", {"num_classes": 3}, sizes=[(5, 1, 32, 32)]), [(5, 1, 32, 32)]),
    ],
    ids=["any-size", "one-size", "1-D", "part", "given"],
)
def test_sizes_follow_from_the_network_unless_they_are_given(target, shapes):
    found = inputs_of(target, build(target))

    assert [tuple(x.shape) for (x,) in found] == shapes


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("{backbone: resnet10, neck: FPN, head: {type: Segmentation, num_classes: 2}}", "resnet10-FPN-Segmentation"),
        ("{backbone: {type: resnet10}, head: Classification}", "resnet10-Classification"),
        ("{type: LeNet}", "LeNet"),
        ("{backbone: resnet10, heads: {a: {type: Segmentation, num_classes: 2}}}", "net"),
    ],
)
def test_a_configuration_is_called_by_its_parts_or_by_its_file(tmp_path, model, name):
    (tmp_path / "net.yaml").write_text(f"model: {model}")

    assert title(Target.configured(tmp_path / "net.yaml")) == name


def test_several_images_have_a_size_each(tmp_path):
    path = tmp_path / "two.yaml"
    path.write_text(
        "model: {inputs: [image, depth], parts: {body: {type: resnet10t, in_channels: 4, from: [image, depth]}}}"
    )
    target = Target.configured(path)

    found = inputs_of(target, build(target))

    assert title(target) == "two"  # a graph of components has the name of its file
    assert [tuple(x.shape)[:2] for x in found[0]] == [(1, 2), (1, 2)]


def test_half_has_inputs_of_16_bits():
    target = Target.network("LeNet", {"num_classes": 3}, half=True)

    (x,) = inputs_of(target, build(target))[0]

    assert x.dtype == mcore.float16


def test_no_size_that_fits_is_told():
    target = Target.network("LeNet", {"num_classes": 3, "in_channels": 1})
    net = mcore.Conv2d(1, 1, 3)
    net.forward = lambda x: 1 / 0

    with pytest.raises(TargetError, match=r"LeNet: it takes none of the sizes that were tried; give sizes. The first:"):
        inputs_of(target, net)


def test_memory_grows_with_the_network():
    small, large = (memory_of(Target.assembly(name)) for name in ("resnet18", "resnet50"))

    # All but a classifier's parameters, statistics and counters, of 4 bytes, as often as they are held at once.
    assert large - small == memory(4 * 23_561_205) - memory(4 * 11_186_132)
    assert memory_of(Target.part("neck", "FPN")) == memory(0)


def test_memory_of_what_cannot_be_built_is_not_guessed():
    with pytest.raises(TargetError, match="no network 'UNett'"):
        memory_of(Target.network("UNett"))


@pytest.mark.long
@pytest.mark.parametrize("name", models.available("network"))
def test_sizes_are_found_for_every_network(name):
    from models.examples.arguments import arguments

    target = Target.network(name, arguments("network", name))

    assert len(inputs_of(target, build(target))) == 3
