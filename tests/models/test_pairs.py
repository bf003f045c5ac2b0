"""Every backbone with every neck and every head: they fit at any size, or are refused by name before building.

Networks are built and run on torch's meta device, which computes shapes and no numbers; the numbers of every part
are compared in test_catalog.py.
"""

import pytest

import mcore
import models
from mcore import registry
from mcore.config import ConfigError

pytestmark = pytest.mark.skipif(mcore.backend() != "torch", reason="the platform has no device for shapes alone")

# The smallest of each family, and one that is dilated; each with arguments.
BACKBONES = {
    "resnet18": {},
    "resnet18, dilated": {"output_stride": 8},
    "legacy_seresnet18": {},
    "skresnet18": {},
    "res2net50_14w_8s": {},
    "resnest14d": {},
    "resnetv2_18": {},
    "mobilenetv2_035": {},
    "mobilenetv3_small_050": {},
    "efficientnet_b0": {},
    "ghostnet_050": {},
    "convnext_atto": {},
    "densenet121": {},
    "vgg11_bn": {},
    "regnetx_002": {},
    "inception_v3": {},
    "xception41": {},
    "legacy_xception": {},
    "repvgg_a0": {},
    "darknet17": {},
    "cspdarknet53": {},
    "hrnet_w18_small": {},
    "vit_tiny_patch16_224": {},
    "swin_tiny_patch4_window7_224": {},
    "mit_b0": {},
    "plain_encoder": {"in_channels": 3, "dims": 2},
    "rsunet": {"in_channels": 3, "dims": 2},
}
# What heads can't do without.
NEEDED = {
    "DeepSupervision": {"head": {"type": "UNetDecoder", "num_classes": 3}},
    "MultiLabel": {"num_labels": 3},
    "Regression": {},
    "Embedding": {},
    "Projection": {},
    "Depth": {},
    "Keypoints": {"num_points": 3},
    "Boundary": {"dims": 2},
    "Affinity": {"dims": 2},
}
NECKS = {"Attend": {"attention": "SE"}}
# An odd size, of no multiple of any stride.
SIZE = (2, 3, 79, 101)


def shapes(value):
    """Shapes of everything in a result."""
    if isinstance(value, dict):
        return [shape for item in value.values() for shape in shapes(item)]
    return [s for v in value for s in shapes(v)] if isinstance(value, tuple | list) else [tuple(map(int, value.shape))]


def run(model):
    """A network without numbers, and what it gives; or why it was refused."""
    try:
        with mcore.device("meta"):
            net = models.from_config({"model": model}).eval()
            return net, net(mcore.zeros(*SIZE)), ""
    except ConfigError as error:
        return None, (), str(error)


def backbone(title):
    return {"type": title.partition(",")[0], **BACKBONES[title]}


def test_every_family_of_backbones_is_paired():
    from models.catalog import NAMES

    families = {NAMES["backbone"][title.partition(",")[0]].partition(":")[0] for title in BACKBONES}

    # SSD's own backbone refuses images of less than 268 pixels by name: tests/models/test_detection.py.
    own = {"models.backbones.ssd_vgg"}
    assert families | own == {target.partition(":")[0] for target in NAMES["backbone"].values()}


# All of them take minutes; these two are tried each time.
titles = pytest.mark.parametrize(
    "title",
    [
        pytest.param(title, marks=[] if title in ("resnet18", "mit_b0") else [pytest.mark.long], id=title)
        for title in BACKBONES
    ],
)


@pytest.mark.parametrize("neck", registry.available("neck"))
@titles
def test_a_neck_takes_the_maps_of_a_backbone_or_is_refused(title, neck):
    net, maps, refused = run({"backbone": backbone(title), "neck": {"type": neck, **NECKS.get(neck, {})}})

    if refused:
        assert f"{neck}:" in refused
    else:
        assert [int(x.shape[1]) for x in maps] == [channels for channels, _ in net.features]


@pytest.mark.parametrize("head", registry.available("head"))
@titles
def test_a_head_takes_the_maps_of_a_backbone_or_is_refused(title, head):
    spec = {"type": head, **NEEDED.get(head, {"num_classes": 3})}

    _, result, refused = run({"backbone": backbone(title), "head": spec})

    # A head that holds another is refused by that one's name.
    named = [f"{name}:" in refused for name in (head, spec.get("head", {}).get("type"))]
    assert any(named) or (not refused and {shape[0] for shape in shapes(result)} == {2})
