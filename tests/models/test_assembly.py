"""Putting parts together: four ways, channels computed, and mistakes told before anything is built."""

import copy

import pytest

import mcore
import models
from mcore import config
from mcore.config import ConfigError
from models.assembly import Assembly
from models.backbones import resnet18
from models.component import UnbuiltError
from models.heads import Classification, Segmentation, UNetDecoder
from models.necks import FPN
from models.wiring import refusal
from models.writing.resolved import resolved

EXPERIMENT = """
mcore: 1
vars: {classes: 3}
model:
  backbone: {type: resnet18, in_channels: 1}
  neck: {type: FPN, channels: 16}
  heads:
    mask: {type: Segmentation, num_classes: "${vars.classes}"}
    label: {type: Classification, num_classes: 10, from: backbone}
train: {epochs: 1}
"""


@pytest.fixture
def experiment(tmp_path):
    path = tmp_path / "experiment.yaml"
    path.write_text(EXPERIMENT)
    return path


def shapes(value):
    """Shapes of results by name."""
    return {name: tuple(map(int, x.shape)) for name, x in value.items()}


def test_objects_names_and_mappings_give_the_same_network():
    ways = [
        models.assemble(resnet18(), FPN(16), Segmentation(4)),
        models.assemble("resnet18", {"type": "FPN", "channels": 16}, {"type": "Segmentation", "num_classes": 4}),
        models.assemble(resnet18(), FPN(16, in_channels=[64, 128, 256, 512]), Segmentation(num_classes=4)),
    ]

    states = [{key: tuple(x.shape) for key, x in net.state_dict().items()} for net in ways]

    assert states[0] == states[1] == states[2]


def test_a_configuration_gives_several_heads_by_name(experiment):
    net = models.from_config(experiment).eval()

    result = net(mcore.zeros(2, 1, 65, 47))

    assert shapes(result) == {"mask": (2, 3, 65, 47), "label": (2, 10)}


def test_overrides_change_what_is_built(experiment):
    net = models.from_config(experiment, overrides=["heads.mask.num_classes=5", "~heads.label"])

    assert shapes(net.eval()(mcore.zeros(1, 1, 32, 32))) == {"mask": (1, 5, 32, 32)}


def test_an_atomic_network_is_a_configuration_too():
    net = models.from_config({"model": {"type": "UNet", "in_channels": 1, "num_classes": 2, "channels": [2, 4]}})

    assert net.config()["model"] == {"type": "UNet", "in_channels": 1, "num_classes": 2, "channels": [2, 4]}


def test_what_was_assembled_is_built_again_from_its_configuration(experiment):
    net = models.from_config(experiment)

    again = models.from_config(net.config())

    assert again.config() == net.config()
    assert list(again.state_dict()) == list(net.state_dict())


def test_the_configuration_holds_what_was_given_and_nothing_computed():
    net = models.assemble(resnet18(1), FPN(8), Segmentation(2))

    assert net.config() == {
        "mcore": 1,
        "model": {
            "backbone": {"type": "resnet18", "in_channels": 1},
            "neck": {"type": "FPN", "channels": 8},
            "head": {"type": "Segmentation", "num_classes": 2},
        },
    }


def test_an_unbuilt_part_is_copied_and_a_whole_one_is_used():
    neck, backbone = FPN(8), resnet18()

    first, second = models.assemble(backbone, neck), models.assemble(backbone, neck)

    assert first.backbone is second.backbone is backbone
    assert first.neck is not second.neck


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("head", [Segmentation(3), UNetDecoder(3), Classification(3)], ids=lambda head: repr(head))
def test_dimensions_come_from_the_backbone(dims, head):
    net = models.assemble(resnet18(1, dims=dims), FPN(8), head).eval()

    y = net(mcore.zeros(1, 1, *(33, 17, 20)[:dims]))

    assert tuple(y.shape) in [(1, 3), (1, 3, *(33, 17, 20)[:dims])]


@pytest.mark.parametrize("stride", [8, 16, 32])
@pytest.mark.parametrize("levels", [(0, 1, 2, 3, 4), (1, 2, 3, 4), (2, 4), (0,)])
def test_a_decoder_meets_the_size_of_the_image_from_any_levels(stride, levels):
    net = models.assemble(resnet18(out_indices=levels, output_stride=stride), head=UNetDecoder(2)).eval()

    assert tuple(net(mcore.zeros(1, 3, 45, 71)).shape) == (1, 2, 45, 71)


def test_a_graph_of_parts_joins_two_backbones_finest_map_first():
    graph = {
        "parts": {
            "light": {"type": "resnet18", "out_indices": [1, 2]},
            "deep": {"type": "resnet18", "out_indices": [1, 2, 3], "from": "input"},
            "fuse": {"type": "FPN", "channels": 8, "from": ["deep", "light[1]"]},
            "mask": {"type": "Segmentation", "num_classes": 2, "from": "fuse"},
        },
        "outputs": {"mask": "mask", "finest": "fuse[0]"},
    }

    net = models.from_config({"model": graph}).eval()

    assert [stride for _, stride in net.fuse.features] == [4, 8, 8, 16]
    result = net(mcore.zeros(1, 3, 64, 64))
    assert shapes(result) == {"mask": (1, 2, 64, 64), "finest": (1, 8, 16, 16)}
    assert models.from_config(net.config()).config() == net.config()


def test_a_part_may_stand_before_what_feeds_it():
    graph = {"parts": {"head": {"type": "Classification", "num_classes": 2, "from": "net"}, "net": "resnet18"}}

    assert tuple(models.from_config({"model": graph}).eval()(mcore.zeros(1, 3, 32, 32)).shape) == (1, 2)


def test_parts_in_a_loop_are_refused():
    graph = {
        "a": {"type": "FPN", "from": "b"},
        "b": {"type": "FPN", "from": "c"},
        "c": {"type": "FPN", "from": "a"},
        "d": {"type": "FPN", "from": "c"},
    }

    with pytest.raises(ConfigError, match=r"parts feed each other in a loop: a -> c -> b -> a|b -> a -> c -> b"):
        models.from_config({"model": {"parts": graph}})


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({}, "this one is empty"),
        ({"bakcbone": "resnet18"}, "a model has no 'bakcbone' .did you mean 'backbone'?"),
        (
            {"backbone": "resnet18", "neck": {"type": "FPN", "from": "bakcbone"}},
            "no part 'bakcbone' .did you mean",
        ),
        ({"backbone": "resnet18", "neck": {"type": "FPN", "from": "neck"}}, "'neck' feeds itself"),
        ({"backbone": "resnet18", "neck": {"type": "FPN", "from": 3}}, "from=3 is no name"),
        (
            {"backbone": "resnet18", "neck": "Segmentation"},
            "no neck 'Segmentation'; 'Segmentation' is a head",
        ),
        ({"backbone": {"depth": 3}}, "a part needs a type"),
        ({"backbone": 18}, "a part is a name, a mapping with a type, or made"),
        ({"backbone": "resnet18", "head": "UNetDecoder"}, "UNetDecoder needs the argument 'num_classes'"),
        ({"backbone": "resnet18", "heads": ["FPN"]}, "heads is a mapping of names to parts"),
        ({"backbone": "resnet18", "head": "x", "heads": {"a": "y"}}, "write head or heads"),
        ({"backbone": "resnet18", "parts": {"a": "resnet18"}}, "write one or the other"),
        ({"parts": {"forward": "resnet18"}}, "'forward' can't name a part"),
        ({"parts": {"a": "resnet18"}, "outputs": "b"}, "no part 'b'; there are a"),
        ({"parts": {"a": "resnet18", "b": "resnet18"}, "outputs": "a"}, "'b' reaches no output"),
    ],
)
def test_a_mistake_in_the_wiring_is_refused_before_anything_is_built(model, message):
    with pytest.raises(ConfigError, match=message):
        models.from_config({"model": model})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: models.assemble(resnet18(num_classes=5), head=Classification(5)),
            "is a classifier and gives no maps",
        ),
        (
            lambda: models.assemble(resnet18(), FPN(8, in_channels=[1, 2])),
            r"made for in_channels=\[1, 2\], but backbone gives \[64, 128, 256, 512\]",
        ),
        (
            lambda: models.assemble(resnet18(), FPN(8, in_channels=[64, 128, 256, 512], dims=3)),
            "has dims=3, but what feeds it has 2",
        ),
        (lambda: models.assemble(FPN(8)), "is fed by the input, so it needs in_channels"),
        (
            lambda: models.assemble(resnet18(), head={"type": "Segmentation", "num_classes": 2, "from": "backbone[4]"}),
            r"backbone\[4\] is none of the 4 maps",
        ),
        (
            lambda: models.assemble(resnet18(), neck={"type": "FPN", "from": "backbone[4:]"}),
            r"backbone\[4:\] is none of the 4 maps",
        ),
    ],
)
def test_parts_that_do_not_fit_are_refused_by_name(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


def test_all_mistakes_of_a_file_come_at_once_with_their_places(tmp_path):
    path = tmp_path / "net.yaml"
    path.write_text(
        "model:\n"
        "  backbone: {type: resnet18, output_stride: 9}\n"
        "  neck: {type: FPN, chanels: 8}\n"
        "  heads:\n"
        "    mask: {type: Segmentation, num_classes: 2, from: nek}\n"
    )

    with pytest.raises(ConfigError) as caught:
        models.from_config(path)

    assert str(caught.value).replace(f"{path}", "net.yaml") == (
        "net.yaml:2:30: model.backbone.output_stride: "
        "resnet18: output_stride=9 is not one of 8, 16, 32\n"
        "net.yaml:3:21: model.neck.chanels: FPN has no argument 'chanels' (did you mean 'channels'?)\n"
        "net.yaml:5:48: model.heads.mask.from: no part 'nek' (did you mean 'neck'?)\n"
        "3 mistakes, nothing was built"
    )


@pytest.mark.parametrize("use", [lambda part: part(mcore.zeros(1)), lambda part: part.state_dict()])
def test_an_unbuilt_part_says_what_it_waits_for(use):
    with pytest.raises(UnbuiltError, match=r"Classification is unbuilt and can't .*models.assemble"):
        use(Classification(10))


def test_a_misspelt_argument_is_refused_though_nothing_is_built_yet():
    with pytest.raises(TypeError, match="Segmentation: got an unexpected keyword argument 'clases'"):
        Segmentation(2, clases=3)


def test_a_network_and_its_parts_can_be_copied():
    net = models.assemble(resnet18(), FPN(8), copy.deepcopy(Segmentation(2))).eval()
    x = mcore.randn(1, 3, 32, 32)

    again = copy.deepcopy(net)

    assert (again(x) == net(x)).all()


def test_what_is_printed_tells_each_part_its_feeds_and_its_maps():
    net = models.assemble(resnet18(), FPN(8), Segmentation(2))

    assert repr(net).splitlines()[2] == (
        "  neck: FPN(channels=8, in_channels=[64, 128, 256, 512], dims=2) from backbone, "
        "10,048 parameters; maps 8 at 1/4, 8 at 1/8, 8 at 1/16, 8 at 1/32"
    )


def test_an_assembled_network_travels_to_the_platform_and_back(tmp_path):
    net = models.assemble(resnet18(1, out_indices=[0, 1]), FPN(8), Segmentation(2)).eval()
    x = mcore.randn(1, 1, 40, 33)

    artifact = net.toplatform(tmp_path / "net", sizes=[(1, 1, 32, 48), (2, 1, 33, 47), (1, 1, 65, 40)], strict=True)
    again = Assembly.fromplatform(tmp_path / "net").eval()

    assert artifact.report.largest < 1e-5
    assert again.config() == net.config()
    assert (again(x) - net(x)).abs().max() < 1e-5


def test_a_stage_that_nothing_needs_is_not_built():
    net = models.from_config(
        {"model": {"backbone": "resnet18", "head": {"type": "Segmentation", "num_classes": 2, "from": "backbone[:2]"}}}
    )

    assert net.backbone.out_indices == (2,)
    assert not hasattr(net.backbone, "layer3")
    assert shapes({"mask": net.eval()(mcore.zeros(1, 3, 40, 33))}) == {"mask": (1, 2, 40, 33)}


def test_a_given_backbone_keeps_the_weights_of_what_is_left():
    backbone = resnet18()

    net = models.assemble(backbone, head={"type": "Segmentation", "num_classes": 2, "from": "backbone[0]"})

    assert net.backbone is not backbone
    assert (net.backbone.layer1[0].conv1.weight == backbone.layer1[0].conv1.weight).all()


def test_outputs_name_the_maps_that_are_left():
    net = models.from_config({"model": {"parts": {"b": "resnet18"}, "outputs": {"fine": "b[1]", "rest": "b[1:3]"}}})

    result = net.eval()(mcore.zeros(1, 3, 64, 64))

    assert tuple(result["fine"].shape) == (1, 128, 8, 8)
    assert [tuple(x.shape[1:]) for x in result["rest"]] == [(128, 8, 8), (256, 4, 4)]


def test_two_inputs_feed_two_backbones_that_are_fused():
    net = models.from_config(
        {
            "model": {
                "inputs": ["image", "depth"],
                "parts": {
                    "colour": {"type": "resnet18", "from": "image"},
                    "distance": {"type": "resnet18", "in_channels": 1, "from": "depth"},
                    "label": {
                        "type": "Classification",
                        "num_classes": 4,
                        "merge": "concat",
                        "from": ["colour[3]", "distance[3]"],
                    },
                },
            }
        }
    )

    assert tuple(net.eval()(mcore.zeros(2, 3, 32, 32), mcore.zeros(2, 1, 32, 32)).shape) == (2, 4)
    with pytest.raises(ValueError, match="1 inputs came, but it takes 2: image, depth"):
        net(mcore.zeros(2, 3, 32, 32))


def test_several_inputs_to_one_part_are_one_image_of_more_channels():
    model = {
        "inputs": ["image", "mask"],
        "parts": {"b": {"type": "resnet18", "in_channels": 4, "from": ["image", "mask"]}},
    }

    maps = models.from_config({"model": model}).eval()(mcore.zeros(1, 3, 32, 32), mcore.zeros(1, 1, 32, 32))

    assert len(maps) == 4


def test_an_input_that_feeds_nothing_is_refused():
    with pytest.raises(ConfigError, match="input 'depth' feeds nothing"):
        models.from_config({"model": {"inputs": ["image", "depth"], "backbone": "resnet18"}})


def test_everything_that_does_not_fit_is_told_at_once_before_anything_is_built():
    with pytest.raises(ConfigError) as caught:
        models.from_config(
            {
                "model": {
                    "backbone": {"type": "resnet18", "output_stride": 16},
                    "heads": {
                        "mask": {"type": "UNetDecoder", "num_classes": 2, "channels": [8]},
                        "label": {"type": "Classification", "num_classes": 2, "from": "backbone[7]"},
                    },
                }
            }
        )

    assert [mistake.path for mistake in caught.value.mistakes] == [
        ("model", "heads", "mask"),
        ("model", "heads", "label", "from"),
    ]


def test_a_given_backbone_is_used_as_it_is_where_all_of_it_is_trained():
    backbone = resnet18()

    net = models.assemble(backbone, head=Classification(3))

    assert net.backbone is backbone
    assert net.config()["model"]["backbone"] == {"type": "resnet18"}


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"type": "FPN"}, r"model: FPN\(\), unbuilt is no network; give in_channels"),
        ({3: 2, "backbone": "resnet18"}, "a model has no 3"),
        ({"type": None}, r"model: a model has a backbone, or parts, or a type; this one is empty"),
        ({"backbone": "resnet18", "heads": {"items": "Segmentation"}}, "'items' can't name a part"),
        ({"backbone": "resnet18", "heads": {"a.b": "Segmentation"}}, "'a.b' can't name a part"),
        ({"backbone": "resnet18", "heads": {"class": "Segmentation"}}, "'class' can't name a part"),
        ({"parts": {"a.b": "resnet18"}}, "'a.b' can't name a part"),
        ({"parts": {"spec": "resnet18"}}, "'spec' can't name a part"),
        ({"parts": {"_nodes": "resnet18"}}, "'_nodes' can't name a part"),
        ({"parts": {None: "resnet18"}}, "None can't name a part"),
        ({"backbone": "resnet18", "inputs": "self"}, "inputs are names"),
        ({"backbone": {"type": "resnet18", "from": "input[0]"}}, r"input\[0\] is no map: 'input' is an image"),
        ({"backbone": {"type": "resnet18", "@mode": "partial"}}, "a part is built, and isn't partial"),
        ({"backbone": {"type": "resnet18", "in_channels": 0}}, "resnet18: in_channels=0 is not 1 or more"),
        ({"backbone": {"type": "resnet18", "in_channels": -1}}, "resnet18: in_channels=-1 is not 1 or more"),
        ({"backbone": {"type": "resnet18", "weights": 3}}, "backbone.weights: file=3 is not a path"),
        ({"backbone": {"type": "resnet18", "weights": {"fil": "x"}}}, "backbone.weights: 'fil' is none of file"),
        (
            {"backbone": {"type": "resnet18", "weights": "none.pth"}},
            "backbone.weights: none.pth: there is no such file",
        ),
        ({"type": "resnet18", "weights": "none.pth"}, "model.weights: none.pth: there is no such file"),
        ({"backbone": "resnet18", "outputs": {0: "backbone"}}, "outputs have names, and 0 is no text"),
        (
            {"backbone": "resnet18", "head": {"type": "Segmentation", "num_classes": 2}, "outputs": "head[0]"},
            "outputs: 'head' gives no maps to choose from",
        ),
        (
            {"backbone": "resnet18", "head": {"type": "Segmentation", "num_classes": 2, "dims": 3}},
            "has dims=3, but what feeds it has 2",
        ),
        (
            {
                "parts": {
                    "a": "resnet18",
                    "b": "resnet18",
                    "head": {"type": "Classification", "num_classes": 2, "from": ["a", "b"]},
                }
            },
            "'head' uses none of the maps of 'a'; merge them",
        ),
        ({"type": "DeepLabV3Plus", "num_classes": 2, "backbone": "resnet19"}, "model.backbone: no backbone 'resnet19'"),
    ],
)
def test_a_hostile_configuration_is_refused_by_name(model, message):
    with pytest.raises(ConfigError, match=message):
        models.from_config({"model": model})


def test_a_loop_is_one_mistake():
    with pytest.raises(ConfigError) as caught:
        models.from_config({"model": {"backbone": {"type": "resnet18", "from": "neck"}, "neck": "FPN"}})

    assert len(caught.value.mistakes) == 1


@pytest.mark.parametrize("head", ["Segmentation", "DeepLabV3Plus"])
@pytest.mark.parametrize("make", [dict, lambda **spec: mcore.build(spec, kind="head")], ids=["mapping", "object"])
def test_a_head_that_was_told_its_channels_gets_the_maps_that_it_was_made_for(head, make):
    maker = make(type=head, num_classes=2, in_channels=[64, 128, 256, 512])

    net = models.assemble(resnet18(), head=maker).eval()

    assert tuple(net(mcore.zeros(1, 3, 40, 33)).shape) == (1, 2, 40, 33)
    assert list(models.from_config(net.config()).state_dict()) == list(net.state_dict())


def test_a_head_that_was_made_for_one_map_gets_the_coarsest():
    net = models.assemble(resnet18(), head=Segmentation(2, in_channels=512)).eval()

    assert tuple(net(mcore.zeros(1, 3, 40, 33)).shape) == (1, 2, 40, 33)


@pytest.mark.parametrize("backbone", [resnet18(frozen_stages=4), {"type": "resnet18", "frozen_stages": 4}])
def test_of_frozen_stages_those_that_are_left_stay_frozen(backbone):
    head = {"type": "Segmentation", "num_classes": 2, "from": "backbone[0]"}

    net = models.assemble(backbone, head=head)

    assert net.backbone.frozen_stages == 1
    assert not any(parameter.requires_grad for parameter in net.backbone.parameters())


def test_an_object_under_two_names_is_refused():
    backbone = resnet18()

    with pytest.raises(ConfigError, match=r"parts\.b: the same object is 'a' already"):
        Assembly({"parts": {"a": backbone, "b": backbone}})


def test_an_assembly_inside_another_is_refused():
    with pytest.raises(ConfigError, match="an assembly is no part of another"):
        models.assemble(models.assemble("resnet18", "FPN"), head=Segmentation(2))


@pytest.mark.parametrize("network", ["DeepLabV3Plus", "RetinaNet"])
def test_the_configuration_of_a_network_keeps_what_its_given_backbone_is(network):
    net = models.create(network, num_classes=2, backbone=resnet18())

    again = models.from_config(net.config())

    assert again.backbone.features[-1] == net.backbone.features[-1]
    assert shapes(again.state_dict()) == shapes(net.state_dict())


def test_a_slot_that_holds_nothing_is_left_out_of_the_whole_configuration():
    read = config.read({"model": {"backbone": "resnet18", "head": None}})

    assert list(resolved(read)["model"]) == ["backbone"]


@pytest.mark.parametrize("head", [Classification(3), {"type": "Classification", "num_classes": 3}])
def test_a_head_may_stand_second(head):
    net = models.assemble(resnet18(), head)

    assert net.neck is None
    assert net.head.fc.out_features == 3


@pytest.mark.parametrize(
    ("model", "shapes", "names"),
    [
        ({"backbone": "resnet18"}, [(1, 3, 32, 32)], ["input"]),
        (
            {
                "inputs": ["image", "mask"],
                "parts": {"b": {"type": "resnet18", "in_channels": 4, "from": ["image", "mask"]}},
            },
            [(1, 3, 32, 32), (1, 1, 32, 32)],
            ["image", "mask"],
        ),
    ],
)
def test_an_export_has_the_names_of_the_inputs(model, shapes, names):
    net = models.from_config({"model": model}).eval()

    exported = mcore.to_onnx(net, tuple(mcore.zeros(*shape) for shape in shapes), strict=True)

    assert [value.name for value in exported.graph.input] == names


def test_a_constructor_that_reads_numbers_out_of_a_tensor_is_told_what_to_do_instead():
    def refused():
        raise RuntimeError("Tensor.item() cannot be called on meta tensors")

    with pytest.raises(RuntimeError) as raised:
        refused()

    assert "compute them with Python or numpy" in refusal(raised.value)


def test_other_errors_of_a_runtime_are_no_mistakes_of_a_configuration():
    with pytest.raises(RuntimeError, match="out of memory"):
        refusal(RuntimeError("out of memory"))
