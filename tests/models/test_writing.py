"""What is written of a network: its class, its documentation, its configuration in full, the schema."""

from xml.etree import ElementTree as Tree

import jsonschema
import numpy as np
import pytest
import yaml

import mcore
import models
from mcore import config, registry
from mcore.config import ConfigError
from models.writing.docstrings import documentation
from models.writing.drawing import drawing
from models.writing.resolved import resolved
from models.writing.schema import schema

TWO_HEADS = {
    "backbone": {"type": "resnet18", "in_channels": 1},
    "neck": {"type": "FPN", "channels": 8},
    "heads": {
        "mask": {"type": "Segmentation", "num_classes": 3},
        "label": {"type": "Classification", "num_classes": 4, "from": "backbone"},
    },
}
TWO_STREAMS = {
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
    "outputs": {"label": "label", "fine": "colour[0]"},
}
EARLY = {"inputs": ["image", "mask"], "parts": {"b": {"type": "resnet18", "in_channels": 4, "from": ["image", "mask"]}}}
IMAGE = (2, 3, 33, 40)


def arrays(value):
    """Results as arrays, in order."""
    if isinstance(value, dict):
        return [array for name in value for array in arrays(value[name])]
    return [a for v in value for a in arrays(v)] if isinstance(value, tuple) else [value.detach().numpy()]


@pytest.mark.parametrize(
    ("model", "shapes"),
    [
        (TWO_HEADS, [(2, 1, 33, 40)]),
        (TWO_STREAMS, [IMAGE, (2, 1, 33, 40)]),
        (EARLY, [IMAGE, (2, 1, 33, 40)]),
    ],
)
def test_the_written_class_has_the_same_states_and_gives_the_same(model, shapes):
    net = models.from_config({"model": model}).eval()
    space = {}
    exec(compile(models.to_source(net, "Written"), "written.py", "exec"), space)

    written = space["Written"]().eval()
    written.load_state_dict(net.state_dict())

    fed = [mcore.rand(*shape) for shape in shapes]
    assert list(written.state_dict()) == list(net.state_dict())
    for got, expected in zip(arrays(written(*fed)), arrays(net(*fed)), strict=True):
        np.testing.assert_array_equal(got, expected)


def test_a_class_that_stands_in_a_file_is_not_written_again():
    net = models.create("UNet", in_channels=1, num_classes=2, channels=[2, 4])

    with pytest.raises(TypeError, match=r"UNet is no assembly; its source is models\.networks\.unet already"):
        models.to_source(net)


def test_the_name_of_a_written_class_is_a_name():
    with pytest.raises(ValueError, match="'my net' is no name of a class"):
        models.to_source(models.assemble("resnet18"), "my net")


def test_the_documentation_tells_each_part_its_values_and_its_source():
    text = models.describe({"model": TWO_HEADS})

    assert "| neck | FPN | backbone | 8 at 1/4, 8 at 1/8, 8 at 1/16, 8 at 1/32 |" in text
    assert "| channels | `8` | given | of every map returned. |" in text
    assert "| in_channels | `[64, 128, 256, 512]` | computed |" in text
    assert "arXiv:1612.03144" in text


def test_the_documentation_of_a_network_needs_no_weights_file():
    model = {
        "backbone": {"type": "resnet18", "weights": "none.pth"},
        "head": {"type": "Classification", "num_classes": 2},
    }

    assert "## backbone: resnet18" in models.describe({"model": model})


def test_a_docstring_is_read_into_sections():
    def part():
        """First line.

        More of it.

        Shapes:
            x: (n, c)
            returns: the same

        Args:
            rate: a share,
                from 0 to 1.
            size: pixels.

        Source: a paper,
        section 2.

        Last words.
        """

    said = documentation(part)

    assert said.summary == "First line."
    assert said.text.split("\n\n") == ["More of it.", "Last words."]
    assert said.sections["Shapes"] == "x: (n, c)\nreturns: the same"
    assert said.sections["Source"] == "a paper,\nsection 2."
    assert said.arguments == {"rate": "a share, from 0 to 1.", "size": "pixels."}


@pytest.mark.parametrize(
    "model", [TWO_HEADS, TWO_STREAMS, "resnet18", {"type": "UNet", "in_channels": 1, "num_classes": 2}]
)
def test_a_configuration_in_full_builds_the_same_network(model, tmp_path):
    read = config.read({"model": model})
    path = tmp_path / "full.yaml"

    path.write_text(yaml.safe_dump(resolved(read), sort_keys=False))

    first, again = models.from_config({"model": model}), models.from_config(path)
    assert {k: tuple(v.shape) for k, v in first.state_dict().items()} == {
        k: tuple(v.shape) for k, v in again.state_dict().items()
    }


def test_a_configuration_in_full_holds_defaults_and_nothing_computed():
    full = resolved(config.read({"model": TWO_HEADS, "vars": {"a": 1}, "train": {"epochs": 2}}))

    assert full["model"]["neck"] == {"type": "FPN", "channels": 8} | {
        key: value for key, value in full["model"]["neck"].items() if key not in ("type", "channels")
    }
    assert not {"in_channels", "in_strides", "dims"} & set(full["model"]["neck"])
    assert full["model"]["backbone"]["output_stride"] == 32
    assert full["train"] == {"epochs": 2}


def test_what_is_wrong_is_told_before_it_is_written_in_full():
    with pytest.raises(ConfigError, match="no backbone 'resnet19'"):
        resolved(config.read({"model": {"backbone": "resnet19"}}))


@pytest.fixture(scope="module")
def validator():
    whole = schema()
    jsonschema.Draft202012Validator.check_schema(whole)
    return jsonschema.Draft202012Validator(whole)


@pytest.mark.parametrize(
    "model",
    [
        TWO_HEADS,
        TWO_STREAMS,
        EARLY,
        {"type": "UNet", "in_channels": 1, "num_classes": "${vars.classes}"},
        {"backbone": "resnet18", "head": {"type": "Classification", "num_classes": 2}},
    ],
)
def test_the_schema_takes_what_builds(validator, model):
    assert list(validator.iter_errors({"mcore": 1, "vars": {"classes": 2}, "model": model})) == []


@pytest.mark.parametrize(
    "model",
    [
        {"backbone": {"type": "resnet19"}},
        {"backbone": {"type": "resnet18", "in_chanels": 1}},
        {"backbone": {"type": "resnet18", "in_channels": "one"}},
        {"backbone": {"type": "resnet18", "dims": 4}},
        {"backbonee": "resnet18"},
    ],
)
def test_the_schema_refuses_what_does_not_build(validator, model):
    assert list(validator.iter_errors({"model": model}))


def test_the_schema_knows_every_component():
    known = set(schema()["$defs"])

    assert known >= {f"{kind}.{name}" for kind in registry.KINDS for name in registry.available(kind)}


def texts(svg):
    """Every line of text of a picture."""
    return [element.text for element in Tree.fromstring(svg).iter() if element.tag.endswith("text")]


def test_a_drawing_names_inputs_parts_what_goes_between_them_and_outputs():
    net = models.from_config({"model": TWO_STREAMS})

    shown = texts(drawing(net))

    assert {"image", "depth", "colour", "distance", "label", "fine", "resnet18"} <= set(shown)
    assert "[3]" in shown


def test_a_network_of_its_own_is_drawn_by_its_modules():
    shown = texts(drawing(models.create("UNet", in_channels=1, num_classes=2, channels=[2, 4])))

    assert shown[1:3] == ["inc", "DoubleConv"]
    assert shown[-1] == "result of UNet"
