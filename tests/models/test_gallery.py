"""The gallery: nothing of the registry is missing, what it says builds, and its pages are those of today."""

import re
from xml.etree import ElementTree as Tree

import pytest

import mcore
import models
from mcore import registry
from models.writing.drawing import drawing
from models.writing.gallery import count_of, gallery
from models.writing.homonyms import HOMONYMS
from tests import isolation

FOLDER = isolation.ROOT / "docs" / "gallery"
PAGES = ["index", *registry.KINDS]


def page_of(kind):
    return (FOLDER / f"{kind}.md").read_text(encoding="utf-8")


def blocks(kind, language):
    return re.findall(rf"```{language}\n(.*?)```", page_of(kind), re.DOTALL)


def texts(picture):
    """Every line of text of a picture."""
    return [element.text for element in Tree.fromstring(picture).iter() if element.tag.endswith("text")]


@pytest.mark.parametrize("page", PAGES)
def test_the_pages_are_those_that_would_be_written_today(page):
    files = gallery(page)

    stale = [
        name
        for name, text in files.items()
        if not (FOLDER / name).is_file() or (FOLDER / name).read_text(encoding="utf-8") != text
    ]
    assert not stale, "out of date; run `mcore gallery` and commit docs/gallery"


@pytest.mark.parametrize("kind", registry.KINDS)
def test_every_name_of_the_registry_stands_in_the_table_of_its_page_and_in_the_index(kind):
    rows = re.findall(r"^\| (.*?) \|", page_of(kind), re.MULTILINE)
    named = {name for row in rows for name in row.split(", ")}
    _, _, index = page_of("index").partition(f"]({kind}.md#")

    assert not set(registry.available(kind)) - named
    assert not [name for name in registry.available(kind) if f"`{name}`" not in index]


def test_every_drawing_is_on_a_page():
    drawn = {path.name for path in (FOLDER / "drawings").iterdir()}

    shown = {name for kind in registry.KINDS for name in re.findall(r"\(drawings/(.*?)\)", page_of(kind))}

    assert drawn == shown


@pytest.mark.parametrize("kind", registry.KINDS)
def test_what_is_written_in_python_builds(kind):
    found = blocks(kind, "python")

    assert found
    with mcore.device("meta"):
        for block in found:
            space = {}
            exec(block, space)
            assert isinstance(space["net"], mcore.Module)


@pytest.mark.parametrize("kind", registry.KINDS)
def test_what_is_written_as_a_configuration_builds(kind, tmp_path):
    found = blocks(kind, "yaml")

    assert found
    path = tmp_path / "net.yaml"
    with mcore.device("meta"):
        for block in found:
            path.write_text(block)
            assert isinstance(models.from_config(path), mcore.Module)


@pytest.mark.parametrize("one", [h for h in HOMONYMS if h.here], ids=lambda one: f"{one.name}-{one.published}")
def test_networks_of_one_name_have_the_parameters_of_what_is_meant(one):
    assert count_of(one.here) == one.published


def test_a_backbone_is_drawn_by_its_stages_with_channels_and_strides():
    with mcore.device("meta"):
        shown = texts(drawing(models.create("resnet50")))

    assert shown[:1] == ["image"]
    assert [shown[shown.index(f"stage {number}") + 2] for number in (1, 2, 3, 4)] == [
        *("256 at 1/4", "512 at 1/8", "1024 at 1/16", "2048 at 1/32")
    ]


def test_a_backbone_of_many_equal_blocks_is_drawn_by_the_levels_that_it_returns():
    with mcore.device("meta"):
        shown = texts(drawing(models.create("vit_tiny_patch16_224", out_indices=[5, 11])))

    assert [line for line in shown if line.startswith("stage")] == ["stages 1 to 6", "stages 7 to 12"]


def test_what_runs_beside_a_branch_is_drawn_beside_it():
    picture = drawing(models.create("Bottleneck", in_channels=8, width=8), [(1, 8, 8, 8)])

    shown = texts(picture)
    assert {"downsample.0 · downsample.1", "conv1 · bn1 · relu", "+"} <= set(shown)


def test_a_yolo_network_is_drawn_by_layers_of_one_stride():
    with mcore.device("meta"):
        shown = texts(drawing(models.create("YOLOv3Tiny")))

    assert {"layers 1 to 2", "255 at 1/16", "255 at 1/32"} <= set(shown)
