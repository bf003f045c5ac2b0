"""Weights of a checkpoint into networks: whole, by part, made fit where asked; all or nothing, bit for bit."""

import sys

import numpy as np
import pytest

import mcore
import models
from mcore import Conv2d, Linear, Module, Sequential
from mcore.checkpoint.errors import CorruptCheckpoint, Incompatible, NotFound, SchemaError
from mcore.checkpoint.parts import builders
from mcore.checkpoint.parts.loading import load_into, rebuilt
from mcore.checkpoint.records import Structure
from mcore.exchange import bridge
from tests.checkpoint.saved import ID, arrays_of, assert_same, saved
from tests.checkpoint.tiny import Tiny

TORCH = mcore.backend() == "torch"
needs_torch = pytest.mark.skipif(not TORCH, reason="torch's own objects are of the torch engine")


SMALL = {"in_channels": 3, "channels": (4, 8, 16), "norm": "batch", "dims": 2}
# Its first convolution, and where its weight is shaped (4, 3, 3, 3).
FIRST = "blocks.0.0.conv"


def backbone(**more):
    return models.create("plain_encoder", **{**SMALL, **more})


def neck():
    return {"type": "FPN", "channels": 8}


def head(classes=2):
    return {"type": "Segmentation", "num_classes": classes, "channels": 6}


def assembly(classes=2, **more):
    heads = {"mask": head(classes), "kind": {"type": "Classification", "num_classes": 3}}
    return models.assemble({"type": "plain_encoder", **SMALL, **more}, neck(), heads=heads)


def changed(net, value=2.0):
    """The network with all its numbers made one."""
    net.load_state_dict({name: mcore.full_like(entry, value) for name, entry in net.state_dict().items()})
    return net


def below(arrays, prefix):
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


class Pair(Module):
    """A backbone and a head, with one weight in both where `tied`."""

    def __init__(self, tied=True):
        super().__init__()
        self.backbone, self.head = Sequential(Linear(3, 3)), Sequential(Linear(3, 3, bias=False))
        if tied:
            self.head[0].weight = self.backbone[0].weight


# --- whole


def test_a_checkpoint_loads_into_a_network_like_its_own():
    net, target = assembly(), changed(assembly())

    report = load_into(target, *saved(net))

    assert_same(arrays_of(target), arrays_of(net))
    assert len(report.loaded) == len(net.state_dict())


def test_parameters_stay_the_objects_that_they_were():
    target = changed(Tiny())
    before = [id(parameter) for parameter in target.parameters()]

    load_into(target, *saved(Tiny()))

    assert [id(parameter) for parameter in target.parameters()] == before


def test_the_types_of_the_target_stay():
    net, target = Tiny(), Tiny().to(mcore.bfloat16)

    load_into(target, *saved(net))

    wanted = arrays_of(net.to(mcore.bfloat16))
    assert wanted["body.0.weight"].dtype.name == "bfloat16"
    assert_same(arrays_of(target), wanted)


@needs_torch
def test_wrappers_around_the_target_make_no_difference():
    import torch

    net, inner = Tiny(), changed(Tiny())

    load_into(torch.nn.DataParallel(torch.compile(inner)), *saved(net))

    assert_same(arrays_of(inner), arrays_of(net))


@needs_torch
def test_a_compiled_part_of_the_target_makes_no_difference():
    import torch

    net, target = assembly(), changed(assembly())
    target.backbone = torch.compile(target.backbone)

    load_into(target, *saved(net), parts=["backbone"])

    assert_same(arrays_of(target.backbone._orig_mod), arrays_of(net.backbone))


@needs_torch
def test_hooks_of_the_target_hear_of_the_loading():
    target, heard = changed(Tiny()), []
    target.register_load_state_dict_post_hook(lambda module, keys: heard.append(True))

    load_into(target, *saved(Tiny()))

    assert heard == [True]


# --- parts


def test_only_the_parts_that_are_asked_for_change():
    net, target = assembly(), changed(assembly(classes=5))
    before = arrays_of(target)

    load_into(target, *saved(net), parts=["backbone", "neck"])

    for part in ("backbone.", "neck."):
        assert_same(below(arrays_of(target), part), below(arrays_of(net), part))
    assert_same(below(arrays_of(target), "heads."), below(before, "heads."))


def test_only_the_components_that_are_asked_for_are_read():
    record, arrays = saved(assembly())
    read = []

    load_into(changed(assembly()), record, lambda one: read.append(one.name) or arrays(one), parts="heads.kind")

    assert read == ["heads.kind"]


def test_a_backbone_saved_alone_goes_into_a_network_s():
    net, target = backbone(), assembly()

    load_into(target, *saved(net), parts=["backbone"])

    assert_same(arrays_of(target.backbone), arrays_of(net))


def test_a_network_s_backbone_goes_into_one_that_stands_alone():
    net, target = assembly(), backbone()

    load_into(target, *saved(net), parts=["backbone"])

    assert_same(arrays_of(target), arrays_of(net.backbone))


def test_the_classifier_of_a_backbone_is_left_out_and_told():
    net, target = backbone(num_classes=3), assembly()

    report = load_into(target, *saved(net), parts=["backbone"])

    assert list(report.left_out) == ["fc.weight", "fc.bias"]
    assert "left out: fc.weight, fc.bias: the layer of the classes, which the network lacks" in str(report)


def test_a_mapping_says_which_part_goes_where():
    net, target = assembly(), Sequential(Conv2d(3, 1, 1), backbone())

    load_into(target, *saved(net), parts={"backbone": "1"})

    assert_same(arrays_of(target[1]), arrays_of(net.backbone))


def test_into_says_where_the_only_part_goes():
    net, target = assembly(), Sequential(backbone())

    load_into(target, *saved(net), parts="backbone", into="0")

    assert_same(arrays_of(target[0]), arrays_of(net.backbone))


def test_a_piece_of_a_part_can_be_asked_for():
    net, target = assembly(), changed(assembly())
    before = arrays_of(target)

    load_into(target, *saved(net), parts="backbone.blocks.1")

    assert_same(below(arrays_of(target), "backbone.blocks.1."), below(arrays_of(net), "backbone.blocks.1."))
    assert_same(below(arrays_of(target), "backbone.blocks.2."), below(before, "backbone.blocks.2."))


def test_heads_means_all_of_them():
    net, target = assembly(), changed(assembly())

    load_into(target, *saved(net), parts="heads")

    assert_same(below(arrays_of(target), "heads."), below(arrays_of(net), "heads."))


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"parts": "nek"}, NotFound, r"has no part 'nek' \(did you mean 'neck'\?\); it has backbone, neck, heads.mask"),
        ({"parts": "backbone.blocks.9"}, NotFound, r"has nothing below 'backbone.blocks.9'; there are 0, 1, 2"),
        ({"parts": {"neck": "nec"}}, NotFound, r"the network has no part 'nec' \(did you mean 'neck'\?\)"),
        (
            {"parts": {"head": "neck"}},
            ValueError,
            "'head' are heads.mask, heads.kind of the checkpoint, and can't all go",
        ),
        ({"parts": {"neck": "neck", "backbone": "neck"}}, ValueError, "two parts of the checkpoint would go to 'neck'"),
        ({"into": "neck"}, ValueError, "into='neck' says where one part goes; name it by parts="),
        ({"parts": ["neck", "head"], "into": "neck"}, ValueError, "into='neck' says where one part goes, but parts="),
        ({"parts": [3]}, TypeError, "parts are names, as in"),
        ({"parts": []}, TypeError, "parts are names, as in"),
        ({"parts": "neck", "channels": "RGB"}, ValueError, "nothing of what is loaded, parts='neck' sees the image"),
    ],
)
def test_parts_that_are_not_there_are_told_and_nothing_changes(options, error, match):
    target = changed(assembly())
    before = arrays_of(target)

    with pytest.raises(error, match=match):
        load_into(target, *saved(assembly(), channels="RGB"), **options)

    assert_same(arrays_of(target), before)


def test_a_head_of_one_name_may_go_to_another():
    net = models.assemble({"type": "plain_encoder", **SMALL}, head=head())
    heads = {one: head() for one in ("a", "b")}
    target = models.assemble({"type": "plain_encoder", **SMALL}, heads=heads)

    load_into(target, *saved(net), parts={"head": "heads.b"})

    assert_same(arrays_of(target.heads["b"]), arrays_of(net.head))


def test_a_role_that_several_have_needs_a_name():
    net = models.assemble({"type": "plain_encoder", **SMALL}, head=head())
    heads = {one: head() for one in ("a", "b")}

    with pytest.raises(NotFound, match=r"'head' may be heads.a or heads.b of the network"):
        load_into(models.assemble({"type": "plain_encoder", **SMALL}, heads=heads), *saved(net), parts="head")


def test_a_weight_that_two_parts_share_comes_also_with_the_second_alone():
    net, target = Pair(), Pair(tied=False)

    load_into(target, *saved(net), parts="head")

    np.testing.assert_array_equal(arrays_of(target)["head.0.weight"], arrays_of(net)["backbone.0.weight"])


def test_tied_weights_load_into_a_network_that_does_not_tie_them():
    net, target = Pair(), changed(Pair(tied=False))

    load_into(target, *saved(net))

    assert_same(arrays_of(target), arrays_of(net))


def test_two_values_for_one_tensor_are_refused():
    target = Pair()

    with pytest.raises(Incompatible, match=r"head.0.weight: is backbone.0.weight too in the network"):
        load_into(target, *saved(Pair(tied=False)))


# --- what doesn't fit


def test_every_entry_that_does_not_fit_is_named_with_both_shapes_and_nothing_changes():
    net, target = (
        Sequential(Linear(2, 3), Conv2d(1, 2, 3)),
        changed(Sequential(Linear(2, 4), Linear(1, 1), Linear(5, 6))),
    )
    before = arrays_of(target)

    with pytest.raises(Incompatible) as caught:
        load_into(target, *saved(net))

    said = str(caught.value)
    for line in (
        "0.weight: the checkpoint has (3, 2), the network (4, 2)",
        "0.bias: the checkpoint has (3,), the network (4,)",
        "1.weight: the checkpoint has (2, 1, 3, 3), the network (1, 1)",
        "1.bias: the checkpoint has (2,), the network (1,)",
        "2.weight: the checkpoint has none, the network (6, 5)",
        "2.bias: the checkpoint has none, the network (6,)",
    ):
        assert line in said
    assert_same(arrays_of(target), before)


def test_what_the_network_lacks_is_named_too():
    with pytest.raises(Incompatible, match=r"1.weight: the checkpoint has \(1, 2\), the network none"):
        load_into(Sequential(Linear(2, 2)), *saved(Sequential(Linear(2, 2), Linear(2, 1))))


def test_without_strict_what_has_a_place_is_loaded():
    net, target = Sequential(Linear(2, 2), Linear(2, 1)), changed(Sequential(Linear(2, 2)))

    report = load_into(target, *saved(net), strict=False)

    assert_same(arrays_of(target), below({f"x.{k}": v for k, v in arrays_of(net).items() if k[0] == "0"}, "x."))
    assert list(report.left_out) == ["1.weight", "1.bias"]


def test_also_without_strict_shapes_have_to_fit():
    with pytest.raises(Incompatible, match=r"0.weight: the checkpoint has \(2, 2\), the network \(3, 2\)"):
        load_into(Sequential(Linear(2, 3)), *saved(Sequential(Linear(2, 2))), strict=False)


def test_nothing_in_common_is_refused_also_without_strict():
    with pytest.raises(Incompatible, match="has nothing that Sequential has a place for"):
        load_into(Sequential(Linear(2, 2)), *saved(Tiny()), strict=False)


def test_a_backbone_into_a_whole_network_is_told_how():
    with pytest.raises(Incompatible, match=r'parts=\["backbone"\] loads the backbone alone'):
        load_into(assembly(), *saved(backbone()))


def test_whole_numbers_are_no_weights():
    record, arrays = saved(Sequential(Linear(2, 2)))

    with pytest.raises(
        Incompatible, match=r"0.weight: the checkpoint has int64 \(2, 2\), the network .*float32 \(2, 2\)"
    ):
        load_into(Sequential(Linear(2, 2)), record, lambda one: {k: a.astype("int64") for k, a in arrays(one).items()})


def test_counters_that_a_checkpoint_lacks_are_not_missed():
    record, arrays = saved(Tiny())
    target = changed(Tiny())

    report = load_into(target, record, lambda one: {k: a for k, a in arrays(one).items() if "num_batches" not in k})

    assert list(report.kept) == ["body.1.num_batches_tracked"]


# --- another number of classes


def test_a_head_of_other_classes_is_refused_with_advice():
    with pytest.raises(
        Incompatible, match=r"(?s)classifier.weight: the checkpoint has \(2, .*resize=True keeps our own"
    ):
        load_into(assembly(classes=5), *saved(assembly()))


def test_with_resize_the_classifier_stays_fresh_and_all_else_loads():
    net, target = assembly(), assembly(classes=5)
    fresh = arrays_of(target)

    report = load_into(target, *saved(net), resize=True)

    found = arrays_of(target)
    kept = ["heads.mask.classifier.weight", "heads.mask.classifier.bias"]
    assert list(report.kept) == kept
    assert_same({name: found[name] for name in kept}, {name: fresh[name] for name in kept})
    assert_same(
        {name: array for name, array in found.items() if name not in kept},
        {name: array for name, array in arrays_of(net).items() if name not in kept},
    )
    assert "(2, 6, 1, 1) in the checkpoint, (5, 6, 1, 1) in the network" in str(report)


def test_with_resize_layers_that_score_nothing_have_to_fit():
    net = models.create("UNet", in_channels=1, num_classes=2, channels=(4, 8))
    target = models.create("UNet", in_channels=1, num_classes=2, channels=(4, 16))

    with pytest.raises(Incompatible, match=r"down1\S*: the checkpoint has"):
        load_into(target, *saved(net), resize=True)


def test_where_nobody_names_the_classifier_it_is_the_last_layer():
    net, target = Sequential(Linear(2, 3), Linear(3, 4)), changed(Sequential(Linear(2, 3), Linear(3, 5)))

    report = load_into(target, *saved(net), resize=True)

    assert list(report.kept) == ["1.weight", "1.bias"]
    np.testing.assert_array_equal(arrays_of(target)["0.weight"], arrays_of(net)["0.weight"])


def test_a_classifier_that_the_checkpoint_lacks_is_fresh_with_resize():
    net, target = backbone(), backbone(num_classes=4)

    assert list(load_into(target, *saved(net), resize=True).kept) == ["fc.weight", "fc.bias"]


# --- other channels


def test_bgr_gives_on_turned_images_what_rgb_gave():
    net, target = models.create("LeNet", in_channels=3).eval(), models.create("LeNet", in_channels=3).eval()
    image = np.random.default_rng(0).standard_normal((1, 3, 32, 32)).astype("float32")

    report = load_into(target, *saved(net, channels="RGB"), channels="BGR")

    np.testing.assert_array_equal(arrays_of(target)["conv1.weight"], arrays_of(net)["conv1.weight"][:, ::-1])
    turned = np.ascontiguousarray(image[:, ::-1])
    np.testing.assert_allclose(
        bridge.array_of(target(mcore.from_numpy(turned)).detach()),
        bridge.array_of(net(mcore.from_numpy(image)).detach()),
        atol=1e-5,  # float32: another order of the same sum
    )
    assert report.adapted == {"conv1.weight": "channels R+G+B to ours: B: B, G: G, R: R"}


def test_a_mask_besides_rgb_changes_nothing_at_first():
    net, target = assembly(), assembly(in_channels=4)

    load_into(target, *saved(net, channels="RGB"), parts=["backbone"], channels="RGB+mask")

    made = arrays_of(target)[f"backbone.{FIRST}.weight"]
    np.testing.assert_array_equal(made[:, :3], arrays_of(net)[f"backbone.{FIRST}.weight"])
    assert not made[:, 3].any()


def test_more_channels_need_a_meaning_or_resize():
    with pytest.raises(Incompatible, match=r"(?s)0.0.conv.weight: .*\(4, 3, 3, 3\).*\(4, 4, 3, 3\).*which are R\+G\+B"):
        load_into(assembly(in_channels=4), *saved(assembly(), channels="RGB"), parts="backbone")


def test_with_resize_channels_go_by_their_number():
    net, target = models.create("LeNet", in_channels=3), models.create("LeNet", in_channels=5)

    report = load_into(target, *saved(net), resize=True)

    assert report.adapted == {"conv1.weight": "channels 3 to ours: 0: 0, 1: 1, 2: 2, 3: zero, new, 4: zero, new"}


def test_with_resize_grey_is_the_sum_of_what_is_colour():
    net, target = models.create("LeNet", in_channels=4), models.create("LeNet", in_channels=1)

    load_into(target, *saved(net, channels="RGB+mask"), resize=True)

    there = arrays_of(net)["conv1.weight"]
    np.testing.assert_allclose(arrays_of(target)["conv1.weight"][:, 0], there[:, :3].sum(axis=1), rtol=1e-5, atol=1e-6)


def test_with_resize_fewer_channels_need_a_meaning():
    net, target = models.create("LeNet", in_channels=3), models.create("LeNet", in_channels=2)

    with pytest.raises(Incompatible, match='Which of its channels ours are, only you know: channels="RGB"'):
        load_into(target, *saved(net), resize=True)


def test_channels_without_a_checkpoint_that_names_its_own_are_refused():
    with pytest.raises(Incompatible, match="The checkpoint doesn't tell what its channels mean"):
        load_into(models.create("LeNet", in_channels=3), *saved(models.create("LeNet", in_channels=3)), channels="BGR")


def test_as_many_channels_as_the_network_takes_have_to_be_named():
    net = models.create("LeNet", in_channels=3)

    with pytest.raises(ValueError, match=r"channels='RGB\+mask' names 4, but conv1.weight of the network takes 3"):
        load_into(models.create("LeNet", in_channels=3), *saved(net, channels="RGB"), channels="RGB+mask")


def test_a_first_convolution_that_nobody_names_is_the_first_with_a_kernel():
    net, target = Sequential(Conv2d(3, 2, 1), Conv2d(2, 1, 1)), Sequential(Conv2d(3, 2, 1), Conv2d(2, 1, 1))

    load_into(target, *saved(net, channels="RGB"), channels="BGR")

    np.testing.assert_array_equal(arrays_of(target)["0.weight"], arrays_of(net)["0.weight"][:, ::-1])


# --- all or nothing


def test_a_damaged_component_changes_nothing_of_the_others():
    record, arrays = saved(assembly())
    target = changed(assembly())
    before = arrays_of(target)

    def damaged(component):
        if component.name == "heads.kind":
            raise CorruptCheckpoint("other bytes")
        return arrays(component)

    with pytest.raises(CorruptCheckpoint, match="other bytes"):
        load_into(target, record, damaged)

    assert_same(arrays_of(target), before)


@pytest.mark.parametrize("call", range(1, 9))
def test_an_interruption_at_any_entry_changes_nothing(call, monkeypatch):
    engine, target = bridge.of_module(Tiny()), changed(Tiny())
    before, left = arrays_of(target), [call]
    made = engine.tensor_of

    def interrupted(array):
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt
        return made(array)

    record, arrays = saved(Tiny())
    monkeypatch.setattr(engine, "tensor_of", interrupted)
    entries = len(before)
    if call <= entries:
        with pytest.raises(KeyboardInterrupt):
            load_into(target, record, arrays)
        assert_same(arrays_of(target), before)
    else:
        load_into(target, record, arrays)


@needs_torch
@pytest.mark.parametrize("call", range(1, 15))
def test_an_interruption_between_two_copies_changes_nothing(call, monkeypatch):
    import torch

    target = changed(Pair(tied=True))
    before, left, copy = arrays_of(target), [call], torch.Tensor.copy_
    record, arrays = saved(Pair())

    def interrupted(self, *args, **kwargs):
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt
        return copy(self, *args, **kwargs)

    monkeypatch.setattr(torch.Tensor, "copy_", interrupted)
    try:
        load_into(target, record, arrays)
    except KeyboardInterrupt:
        assert_same(arrays_of(target), before)
    else:
        assert left[0] > 0


@needs_torch
def test_a_network_on_meta_is_refused():
    import torch

    with torch.device("meta"):
        target = Tiny()

    with pytest.raises(ValueError, match="is on the device 'meta' and holds nothing"):
        load_into(target, *saved(Tiny()))


# --- built anew


@pytest.mark.parametrize(
    "net",
    [lambda: models.create("LeNet", num_classes=3), assembly, lambda: backbone(frozen_stages=1)],
    ids=["a network", "an assembly", "a backbone"],
)
@pytest.mark.parametrize("training", [True, False])
def test_a_network_is_rebuilt_bit_for_bit_in_its_mode(net, training):
    net = net().train(training)

    made = rebuilt(*saved(net))

    assert_same(arrays_of(made), arrays_of(net))
    assert [module.training for module in made.modules()] == [module.training for module in net.modules()]


def test_a_rebuilt_network_computes_what_the_saved_one_did():
    net = models.create("LeNet").eval()
    x = mcore.randn(2, 1, 32, 32)

    made = rebuilt(*saved(net))

    np.testing.assert_array_equal(bridge.array_of(made(x).detach()), bridge.array_of(net(x).detach()))


def test_a_rebuilt_network_has_the_types_that_were_saved():
    net = models.create("LeNet").to(mcore.bfloat16)

    assert_same(arrays_of(rebuilt(*saved(net))), arrays_of(net))


def test_a_rebuilt_network_holds_the_arrays_themselves():
    record, arrays = saved(models.create("LeNet"))
    handed = {}

    made = rebuilt(record, lambda one: handed.setdefault(one.name, arrays(one)))

    for name, value in made.state_dict().items():
        assert np.shares_memory(bridge.array_of(value), handed[""][name])


@needs_torch
def test_a_rebuilt_network_s_numbers_were_never_drawn():
    import torch

    record, arrays = saved(backbone())
    before = torch.get_rng_state()

    rebuilt(record, arrays)

    assert torch.equal(torch.get_rng_state(), before)


def test_a_rebuilt_network_can_be_trained_further_into():
    net = rebuilt(*saved(models.create("LeNet")))

    load_into(net, *saved(changed(models.create("LeNet"))))

    assert all((array == 2).all() for array in arrays_of(net).values())


def test_a_class_of_nobodys_is_told_how_to_load():
    with pytest.raises(
        SchemaError, match=rf"tests.checkpoint.tiny.Tiny, which no builder makes: .*load_into\(net, '{ID}'"
    ):
        rebuilt(*saved(Tiny()))


def test_a_builder_may_be_given():
    record, arrays = saved(Tiny(channels=3))
    record = record.model_copy(update={"structure": Structure(builder="tiny", config={"channels": 3})})

    made = rebuilt(record, arrays, builders={"tiny": lambda config: Tiny(**config)})

    assert type(made) is Tiny


def test_what_is_built_otherwise_today_is_told_with_every_entry():
    record, arrays = saved(models.create("LeNet", num_classes=3))
    config = {"mcore": 1, "model": {"type": "LeNet", "num_classes": 4}}
    record = record.model_copy(update={"structure": Structure(builder="models", config=config)})

    with pytest.raises(Incompatible, match=r"(?s)by mcore \S+.*fc3.weight: .*\(3, 84\).*\(4, 84\).*fc3.bias: "):
        rebuilt(record, arrays)


def test_entries_that_a_checkpoint_lacks_are_drawn_where_that_is_allowed():
    record, arrays = saved(models.create("LeNet"))

    def few(component):
        return {name: array for name, array in arrays(component).items() if name != "fc1.weight"}

    with pytest.raises(Incompatible, match=r"fc1.weight: the checkpoint has none, the network \(120, 400\)"):
        rebuilt(record, few)
    drawn = arrays_of(rebuilt(record, few, strict=False))["fc1.weight"]
    assert 0 < np.abs(drawn).max() < 1


def test_tied_weights_are_tied_again_or_copied():
    record, arrays = saved(Pair())
    structure = Structure(builder="pair", config={})

    for tied in (True, False):
        made = rebuilt(
            record.model_copy(update={"structure": structure}),
            arrays,
            builders={"pair": lambda _, tied=tied: Pair(tied)},
        )
        first, second = made.backbone[0].weight, made.head[0].weight
        assert (first is second) is tied
        np.testing.assert_array_equal(bridge.array_of(first.detach()), bridge.array_of(second.detach()))
        assert tied or not np.shares_memory(bridge.array_of(first.detach()), bridge.array_of(second.detach()))


# --- records from strangers


@pytest.mark.parametrize("name", ["antigravity", "os", "modles"])
def test_a_builder_that_is_not_installed_is_refused_and_nothing_imported(name):
    record, arrays = saved(models.create("LeNet"))
    record = record.model_copy(update={"structure": Structure(builder=name, config={})})
    before = {*sys.modules}

    with pytest.raises(SchemaError, match=rf"no builder '{name}' is installed.*there are .*'models'"):
        rebuilt(record, arrays)

    assert "antigravity" not in {*sys.modules} - before


@pytest.mark.parametrize(
    ("config", "match"),
    [
        (
            {"extends": "secret.yaml", "model": {"type": "LeNet"}},
            "extends='secret.yaml' at config.extends; a record reads",
        ),
        ({"model": {"type": "LeNet", "weights": "secret.pth"}}, "weights='secret.pth' at config.model.weights"),
        ({"model": {"backbone": {"type": "resnet18", "weights": {"file": "x"}}}}, "at config.model.backbone.weights"),
        (
            {"model": {"type": "convnet/load_model", "path": "x.jit"}},
            "names 'convnet/load_model' at .* which is a tool",
        ),
        (
            {"model": {"type": "convnet/UNet", "list_num_channels": [{"type": "load_model"}]}},
            "'load_model' .* is a tool",
        ),
        ({"model": {"@type": "convnet/torch.optim.SGD"}}, "which is a optimizer"),
        ({"model": {"type": "os.system", "command": "id"}}, "builder 'models' makes nothing of the configuration"),
        ({"model": {"type": "LeNet", "_target_": "os.system"}}, "builder 'models' makes nothing of the configuration"),
        ({}, "builder 'models' makes nothing of the configuration"),
    ],
)
def test_a_configuration_names_no_file_and_nothing_but_parts_of_networks(config, match):
    record, arrays = saved(models.create("LeNet"))
    record = record.model_copy(update={"structure": Structure(builder="models", config=config)})

    with pytest.raises(SchemaError, match=match):
        rebuilt(record, arrays)


def test_a_clone_that_is_not_installed_has_this_project_s_builder(monkeypatch):
    monkeypatch.setattr(builders.importlib.metadata, "entry_points", lambda **_: ())

    assert builders.installed() == {"models": "models.assembly:from_config"}
