"""ResNet: published sizes, levels, dilation, frozen stages, refusals."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mcore
import models
from models.backbones import resnet18, resnet50
from models.basicblocks import BasicBlock
from models.utils.summary import parameters, summary

trains = pytest.mark.skipif(mcore.backend() != "torch", reason="only the torch engine has gradients")


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("resnet18", 11_689_512),
        ("resnet34", 21_797_672),
        ("resnet50", 25_557_032),
        ("resnet101", 44_549_160),
        ("resnet152", 60_192_808),
        ("resnext50_32x4d", 25_028_904),
        ("resnext101_32x8d", 88_791_336),
        ("wide_resnet50_2", 68_883_240),
        ("wide_resnet101_2", 126_886_696),
    ],
)
def test_the_classifier_has_the_published_number_of_parameters(name, count):
    assert parameters(models.create(name, num_classes=1000)) == count


def test_the_classifier_has_the_published_number_of_multiply_adds():
    rows = summary(resnet50(num_classes=1000), (1, 3, 224, 224))

    assert sum(row.multiply_adds or 0 for row in rows) == 4_089_184_256


@given(
    h=st.integers(1, 70),
    w=st.integers(1, 70),
    stride=st.sampled_from((1, 2)),
    dilation=st.sampled_from((1, 2)),
)
@settings(max_examples=25)
def test_a_block_divides_the_size_by_its_stride_rounding_up(h, w, stride, dilation):
    block = BasicBlock(2, 2, stride=stride, dilation=dilation).eval()

    y = block(mcore.zeros(1, 2, h, w))

    assert tuple(y.shape) == (1, 2, -(-h // stride), -(-w // stride))


@pytest.mark.parametrize(
    ("stride", "strides"), [(32, [2, 4, 8, 16, 32]), (16, [2, 4, 8, 16, 16]), (8, [2, 4, 8, 8, 8])]
)
def test_dilation_keeps_the_resolution_from_the_output_stride_on(stride, strides):
    net = resnet18(out_indices=range(5), output_stride=stride).eval()

    maps = net(mcore.zeros(1, 3, 64, 64))

    assert [s for _, s in net.features] == [64 // x.shape[2] for x in maps] == strides


def test_the_first_block_of_a_dilated_stage_sees_what_the_stage_before_left():
    net = resnet50(output_stride=8)

    dilations = [[block.conv2.dilation[0] for block in stage][:2] for (stage,) in net.by_stage()[1:]]

    assert dilations == [[1, 1], [1, 1], [1, 2], [2, 4]]


def test_stages_after_the_last_level_are_not_built():
    net = resnet18(out_indices=[1])

    assert [name for name, _ in net.named_children()] == ["conv1", "bn1", "maxpool", "layer1"]


@trains
def test_frozen_stages_keep_their_norms_in_eval_mode_and_get_no_gradient():
    net = resnet18(frozen_stages=2).train()
    frozen = [net.conv1, net.bn1, net.layer1, net.layer2]

    trained = {name.partition(".")[0] for name, p in net.named_parameters() if p.requires_grad}

    assert trained == {"layer3", "layer4"}
    assert not any(module.training for part in frozen for module in part.modules())
    assert net.layer3.training


@trains
def test_frozen_statistics_stay_when_the_network_is_trained():
    net = models.assemble(resnet18(frozen_stages=1), head=models.heads.Classification(2)).train()
    before = {key: value.clone() for key, value in net.state_dict().items() if "running_mean" in key}

    net(mcore.randn(2, 3, 32, 32))

    after = net.state_dict()
    changed = {key for key, value in before.items() if not mcore.equal(value, after[key])}
    assert {key.split(".")[1] for key in changed} == {"layer2", "layer3", "layer4"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dims": 4}, "resnet18: dims=4 is not 1, 2 or 3"),
        ({"output_stride": 4}, "resnet18: output_stride=4 is not one of 8, 16, 32"),
        ({"out_indices": [5]}, r"resnet18: out_indices=\[5\] aren't some of 0"),
        ({"out_indices": [2, 1]}, r"resnet18: out_indices=\[2, 1\] aren't some of"),
        ({"out_indices": []}, r"resnet18: out_indices=\[\] aren't some of"),
        ({"frozen_stages": 5}, "frozen_stages=5 is not -1"),
        (
            {"frozen_stages": 3, "out_indices": [1]},
            "frozen_stages=3 is not -1 .none., 0 .the stem. or a stage up to 1",
        ),
    ],
)
def test_an_argument_that_does_not_fit_is_refused_by_name(arguments, message):
    with pytest.raises(ValueError, match=message):
        resnet18(**arguments)


def test_only_a_bottleneck_has_groups():
    with pytest.raises(ValueError, match="BasicBlock: groups=2"):
        BasicBlock(8, 8, groups=2)


def test_a_constructor_of_a_size_shows_the_parameters_that_are_left():
    import inspect

    assert list(inspect.signature(resnet50).parameters)[:3] == ["in_channels", "num_classes", "dims"]
    assert resnet50.__name__ == "resnet50"
