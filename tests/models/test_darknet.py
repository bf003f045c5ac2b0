"""Darknet: descriptions and weights are read and written as its programs do, and networks give what those gave."""

import csv
import hashlib
import json
import re
import struct
import warnings

import numpy as np
import pytest

import mcore
import models
from mcore.config import ConfigError
from models.backbones import cspdarknet53, darknet53
from models.darknet import Header, plan_of, read_cfg, read_state, read_weights, write_weights
from models.darknet.layers import module_of
from models.darknet.names import backbone_state
from models.darknet.published import PUBLISHED, published
from models.darknet.weights import entries
from models.necks import Identity
from models.networks import Darknet, YOLOv3Tiny
from tests.models import golden
from tests.models.rows.darknet import BOXES, CLASSES, SCALED

GOLDEN = ["yolov3-tiny", "csdarknet53-omega", pytest.param("yolov3", marks=pytest.mark.long)]


def arrays(cfg, gain=1.0):
    """Arrays for every entry of a description, by the rule of the golden files."""
    return {entry.name: golden.fill(entry.name, entry.shape, gain) for entry in entries(plan_of(cfg))}


@pytest.fixture
def boxes(tmp_path):
    """A weights file for BOXES, and what is in it."""
    path = tmp_path / "boxes.weights"
    state = arrays(BOXES)
    write_weights(path, BOXES, state)
    return path, state


# --- networks


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    """Weights files of golden networks, written once."""
    folder = tmp_path_factory.mktemp("golden")

    def file(name):
        path, stored = folder / f"{name}.weights", golden.read(f"darknet_{name}")
        if not path.exists():
            state = {
                key.replace(name, "layers", 1): golden.fill(key, shape, stored["gain"]) for key, shape in stored["keys"]
            }
            write_weights(path, name, state)
        return path, stored

    return file


@pytest.mark.parametrize("name", GOLDEN)
def test_a_file_is_written_as_the_original_reads_it(name, originals):
    path, stored = originals(name)

    assert hashlib.sha256(path.read_bytes()).hexdigest() == stored["weights_file_sha256"]


@pytest.mark.parametrize("dtype", golden.DTYPES)
@pytest.mark.parametrize("name", GOLDEN)
def test_every_layer_gives_what_the_original_gave(name, dtype, originals):
    path, stored = originals(name)
    places = [int(key.split(".")[1]) for key in stored["outputs"]]
    net = Darknet(name, outputs=places, weights=path).to(getattr(mcore, dtype)).eval()

    (x,) = golden.inputs(stored)
    with mcore.no_grad():
        got = net(mcore.from_numpy(x.astype(dtype)))

    for layer, expected in zip(got, stored["outputs"].values(), strict=True):
        # The original computed in float32.
        golden.assert_equal(layer[0].numpy(), expected, "float32")


@pytest.mark.parametrize("name", GOLDEN)
def test_the_original_names_its_entries_in_our_order(name, originals):
    _, stored = originals(name)

    ours = [[entry.name, list(entry.shape)] for entry in entries(plan_of(name))]

    assert ours == [[key.replace(name, "layers", 1), shape] for key, shape in stored["keys"]]


ZOO = {
    row["name"]: row for row in csv.DictReader((golden.FOLDER / "zoo.csv").open()) if row["library"] == "darknet cfg"
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_network_has_the_published_counts(name):
    row = ZOO[name]

    with mcore.device("meta"):
        net = Darknet(name, outputs=range(len(published(name)) - 1))

    assert sum(p.numel() for p in net.parameters()) == int(row["params"])
    assert [len(net.plan.layers)] == [int(count) for count in re.findall(r"(\d+) layers", row["note"])]
    size = len(Header().write()) + 4 * sum(entry.numbers for entry in entries(net.plan))
    assert [size] == [int(count) for count in re.findall(r"= (\d+) bytes", row["note"])]


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_network_has_the_published_results(name):
    plan = plan_of(name)

    shapes = [(layer.channels, *layer.size) for layer in plan.detectors or plan.layers[-1:]]

    assert [f"1x{c}x{h}x{w}" for c, h, w in shapes] == ZOO[name]["output"].split()


@pytest.mark.parametrize(
    ("name", "layers", "size"),
    [
        ("darknet53", 74, 162_482_580),
        ("yolov3", 74, 162_482_580),
        ("yolov4", 137, 170_038_676),
        ("yolov4-tiny", 29, 19_789_716),
    ],
)
def test_a_file_that_stops_early_has_the_published_size(name, layers, size):
    assert 20 + 4 * sum(entry.numbers for entry in entries(plan_of(name), upto=layers)) == size


def test_the_state_has_the_numbers_of_the_description():
    names = list(Darknet(BOXES).state_dict())

    assert names[:2] == ["layers.0.conv.weight", "layers.0.bn.weight"]
    assert names[-2:] == ["layers.16.conv.weight", "layers.16.conv.bias"]


def test_layers_that_no_output_needs_are_not_built():
    net = Darknet("yolov3-tiny", outputs=[20])

    assert list(net.layers) == [str(index) for index in (*range(14), 17, 18, 19, 20)]


def test_sizes_that_do_not_halve_evenly_join_at_the_finer_one():
    net = Darknet("yolov3-tiny", num_classes=1).eval()

    coarse, fine = net(mcore.zeros(1, 3, 65, 97))

    assert [tuple(coarse.shape[2:]), tuple(fine.shape[2:])] == [(3, 4), (5, 7)]


def test_the_configuration_holds_the_description_and_not_the_path(tmp_path):
    path = tmp_path / "net.cfg"
    path.write_text(TEXT)
    net = Darknet(path, num_classes=3)
    path.unlink()

    again = models.from_config(net.config())

    assert again.config() == net.config()
    assert list(again.state_dict()) == list(net.state_dict())
    assert again.plan.cfg.sections[0].options["filters"] == 4


@pytest.mark.parametrize(
    ("cfg", "flavour"),
    [("yolov3", "pjreddie"), ("yolov4", "alexeyab"), (BOXES, "alexeyab"), (SCALED, "alexeyab"), (CLASSES, "pjreddie")],
    ids=["yolov3", "yolov4", "boxes", "scaled", "classes"],
)
def test_a_description_shows_whose_it_is(cfg, flavour):
    assert read_cfg(cfg).flavour == flavour


def test_batch_norm_is_that_of_the_program():
    variance = mcore.full((1,), 1e-6)
    x = mcore.ones(1, 1, 1, 1)
    results = {}
    for flavour in ("pjreddie", "alexeyab"):
        layer = module_of(plan_of([{"section": "net", "channels": 1}, {"section": "batchnorm"}]).layers[0], flavour)
        layer.eval().load_state_dict({**layer.state_dict(), "bn.running_var": variance})
        results[flavour] = layer(x).item()

    assert results["pjreddie"] == pytest.approx(1 / (1e-3 + 1e-6), rel=1e-5)
    assert results["alexeyab"] == pytest.approx(1 / (1e-6 + 1e-5) ** 0.5, rel=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cfg": "yolov3-tiny", "outputs": [24]}, r"outputs=\[24\] aren't layers of yolov3-tiny, which has 0 to 23"),
        ({"cfg": "yolov3-tiny", "outputs": []}, r"outputs=\[\] aren't layers"),
        ({"cfg": "yolov3-tiny", "outputs": [3], "decode": True}, "exclude each other"),
        ({"cfg": "darknet53", "decode": True}, r"decode=True, but it has no \[yolo\]"),
        ({"cfg": BOXES[:3], "num_classes": 3}, "num_classes=3, but no layer of it scores classes"),
    ],
)
def test_an_argument_that_does_not_fit_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Darknet(**arguments)


def test_a_name_that_is_nearly_right_is_told():
    with pytest.raises(FileNotFoundError, match=r"'yolov33' is no file.*did you mean 'yolov3'"):
        Darknet("yolov33")


# --- descriptions

TEXT = """# a comment
[network]
width = 64
height=64
channels=3
mosaic=0
; another
[conv]
batch_normalize=1
filters = 4   # not 8
size=3
stride=2
pad=1
activation=leaky

[convolutional]
filters=6
size=1
activation=linear

[yolo]
mask = 0
anchors = 10, 14,  23,27
classes=1
num=2
"""


def test_a_description_is_read_with_comments_blanks_and_short_names():
    cfg = read_cfg(TEXT)

    assert cfg.net.options == {"width": 64, "height": 64, "channels": 3}
    assert [section.name for section in cfg.sections] == ["convolutional", "convolutional", "yolo"]
    assert cfg.sections[0].options["filters"] == 4
    assert cfg.sections[2].options["anchors"] == [10, 14, 23, 27]


def test_plain_data_is_read_again():
    cfg = read_cfg(TEXT)

    assert read_cfg(cfg.rows()).rows() == cfg.rows()


def test_a_list_of_one_number_may_be_that_number():
    rows = [{"section": "convolutional", "filters": 3}, {"section": "shortcut", "from": -1}]

    assert read_cfg(rows).sections[1].options["from"] == [-1]


def test_sections_that_are_no_mappings_are_refused():
    with pytest.raises(
        ConfigError, match=r"cfg\[0\]: a section is a mapping with the name under 'section', not 'conv'"
    ):
        read_cfg(["conv"])


def test_of_an_option_written_twice_the_first_holds():
    with pytest.warns(UserWarning, match=r"cfg:11:1: \[convolutional\] has filters twice; the first holds, 4"):
        cfg = read_cfg(TEXT.replace("size=3", "filters=5\nsize=3"))

    assert cfg.sections[0].options["filters"] == 4


def test_an_option_that_nobody_reads_is_told():
    with pytest.warns(UserWarning, match=r"options that Darknet doesn't read: cfg:11:1: colour"):
        read_cfg(TEXT.replace("size=3", "colour=5\nsize=3"))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[yolo]", "[yolov4]", r"cfg:21:1: there is no section \[yolov4\] \(did you mean \[yolo\]\?\)"),
        ("[yolo]", "[gru]", r"cfg:21:1: \[gru\] is not supported: it remembers earlier inputs"),
        ("[yolo]", "[yolo", r"cfg:21:1: '\[yolo' is no section; write \[name\]"),
        ("[network]", "[conv]", r"cfg:2:1: \[convolutional\] comes before \[net\]"),
        ("[yolo]", "[net]", r"cfg:21:1: \[net\] comes first, and once"),
        ("size=3", "size 3", r"cfg:11:1: 'size 3' is no section, option or comment; write name=value"),
        ("size=3", "sise=3", r"cfg:11:1: \[convolutional\] has no option 'sise' \(did you mean 'size'\?\)"),
        ("size=3", "size=big", r"cfg:11:1: \[convolutional\] size=big: 'big' is no number"),
        ("size=3", "size=0", r"cfg:11:1: \[convolutional\] size=0: at least 1 fits"),
        ("size=3", "size=2.5", r"cfg:11:1: \[convolutional\] size=2.5: a whole number fits"),
        ("leaky", "leeky", r"cfg:14:1: \[convolutional\] activation=leeky: none of .*did you mean 'leaky'"),
        ("size=3", "xnor=1", r"cfg:11:1: \[convolutional\] xnor=1 is not supported"),
        ("size=3", "share_index=0", r"cfg:11:1: \[convolutional\] share_index=0 is not supported"),
        ("filters=6", "filters=7", r"cfg:24:1: layer 2 \[yolo\] classes: 1 boxes of 1 classes take filters=6"),
        ("mask = 0", "mask = 2", r"cfg:22:1: layer 2 \[yolo\] mask: \[2\] aren't all among 2 anchors"),
        ("size=3", "groups=3", r"cfg:11:1: layer 0 \[convolutional\] groups: 4 filters can't be split into 3"),
        ("[yolo]", "[route]\nlayers=-1,7\n[yolo]", r"cfg:22:1: layer 2 \[route\] layers: 7 is no layer before layer 2"),
        ("[yolo]", "[route]\n[yolo]", r"cfg:21:1: \[route\] needs layers="),
        ("[yolo]", "[upsample]\n[route]\nlayers=-1,0\n[yolo]", "at stride 1 can't be joined with layer 0 at stride 2"),
        ("width = 64", "", r"layer 3 \[connected\] output: a connected layer needs width= and height= in \[net\]"),
    ],
)
def test_a_mistake_is_told_with_its_line(old, new, message):
    text = TEXT.replace(old, new, 1) + "[connected]\noutput=3\nactivation=linear\n"

    with pytest.raises(ConfigError, match=message):
        plan_of(text)


def test_all_mistakes_are_told_at_once(tmp_path):
    path = tmp_path / "net.cfg"
    path.write_text(TEXT.replace("size=3", "sise=3").replace("stride=2", "stride=no").replace("[yolo]", "[yol]"))

    with pytest.raises(ConfigError, match="3 mistakes, nothing was built") as caught:
        read_cfg(path)

    assert [str(mistake).split(": ")[0] for mistake in caught.value.mistakes] == [f"{path}:{n}:1" for n in (11, 12, 21)]


# --- weights


def test_a_file_gives_back_what_was_written(boxes):
    path, state = boxes

    got = read_state(path, BOXES)

    assert list(got) == list(state)
    for key, array in state.items():
        np.testing.assert_array_equal(got[key], array)


def test_arrays_are_mapped_from_the_disk(boxes):
    path, _ = boxes

    assert all(isinstance(array, np.memmap) for array in read_state(path, BOXES).values())


@pytest.mark.parametrize(("header", "size"), [(Header(0, 1, 0, 7), 16), (Header(0, 2, 5, 2**40), 20)])
def test_old_and_new_headers_are_read(header, size, tmp_path):
    path, state = tmp_path / "a.weights", arrays(BOXES)
    write_weights(path, BOXES, state, header=header)

    read = read_weights(path, BOXES)

    assert path.stat().st_size == size + 4 * sum(array.size for array in state.values())
    assert read.header == header
    np.testing.assert_array_equal(read.state["layers.16.conv.weight"], state["layers.16.conv.weight"])


def test_batch_norm_stands_before_the_weight_and_begins_with_the_bias(boxes):
    path, state = boxes

    first = np.frombuffer(path.read_bytes()[20:], "<f4")

    order = ["bn.bias", "bn.weight", "bn.running_mean", "bn.running_var", "conv.weight"]
    expected = np.concatenate([state[f"layers.0.{name}"].ravel() for name in order])
    np.testing.assert_array_equal(first[: expected.size], expected)


CONNECTED = [
    {"section": "net", "width": 4, "height": 3, "channels": 2},
    {"section": "connected", "output": 5, "batch_normalize": 1, "activation": "leaky"},
    {"section": "connected", "output": 3, "activation": "linear"},
]


@pytest.mark.parametrize("major", [0, 1001])
def test_matrices_of_connected_layers_are_transposed_where_the_header_says_so(major, tmp_path):
    path, state = tmp_path / "a.weights", arrays(CONNECTED)
    write_weights(path, CONNECTED, state, header=Header(major, 2, 0, 0))

    got = read_state(path, CONNECTED)
    stored = np.frombuffer(path.read_bytes()[20:], "<f4")[5 : 5 + 5 * 24]

    np.testing.assert_array_equal(got["layers.0.fc.weight"], state["layers.0.fc.weight"])
    weight = state["layers.0.fc.weight"]
    np.testing.assert_array_equal(stored, (weight.T if major else weight).ravel())


def test_a_connected_layer_sees_all_pixels(tmp_path):
    path, state = tmp_path / "a.weights", arrays(CONNECTED)
    write_weights(path, CONNECTED, state)
    net = Darknet(CONNECTED, weights=path).eval()
    x = np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4)

    got = net(mcore.from_numpy(x))

    mean, variance = (state[f"layers.0.bn.running_{name}"] for name in ("mean", "var"))
    y = (state["layers.0.fc.weight"] @ x.ravel() - mean) / (np.sqrt(variance) + 1e-6)
    y = y * state["layers.0.bn.weight"] + state["layers.0.bn.bias"]
    y = np.where(y > 0, y, 0.1 * y)
    expected = state["layers.1.fc.weight"] @ y + state["layers.1.fc.bias"]
    np.testing.assert_allclose(got.detach().numpy().ravel(), expected, rtol=1e-4)


def test_weights_of_shortcuts_are_stored(tmp_path):
    path, state = tmp_path / "a.weights", arrays(SCALED)
    write_weights(path, SCALED, state)

    got = Darknet(SCALED, weights=path).state_dict()

    assert state["layers.3.weights"].shape == (3, 8)
    assert state["layers.10.weights"].shape == (2,)
    np.testing.assert_array_equal(got["layers.3.weights"].numpy(), state["layers.3.weights"])


def test_a_truncated_file_names_the_layer_what_it_needs_and_what_is_left(boxes):
    path, _ = boxes
    data = path.read_bytes()
    path.write_bytes(data[: 20 + 4 * 300])

    # 216 + 4 * 8 for the first layer leave 52 of 300.
    with pytest.raises(
        ValueError,
        match=r"layer 1 \(\[convolutional\]\) needs 608 numbers \(bn.bias 8, .*weight 576\), but 52 of 300 are left",
    ):
        read_state(path, BOXES)


def test_a_file_that_ends_between_layers_is_refused_unless_its_name_says_so(boxes, tmp_path):
    path, state = boxes
    write_weights(path, BOXES, state, upto=7)
    named = tmp_path / "boxes.conv.7"
    path.rename(named)

    read = read_weights(named, BOXES)

    assert (read.layers, read.complete) == (7, False)
    assert str(read) == "20 arrays of the first 7 layers"
    named.rename(path)
    with pytest.raises(ValueError, match=r"layer 8 .*, but 0 of .* It ends behind layer 7: .*name it .conv.8"):
        read_state(path, BOXES)


def test_bytes_that_are_left_are_refused(boxes):
    path, _ = boxes
    path.write_bytes(path.read_bytes() + bytes(8))

    with pytest.raises(ValueError, match=r"2 numbers \(8 bytes\) are left behind layer 17, the last"):
        read_state(path, BOXES)


def test_a_part_of_a_number_is_refused(boxes):
    path, _ = boxes
    path.write_bytes(path.read_bytes() + b"?")

    with pytest.raises(ValueError, match=r"which are no whole number of float32"):
        read_state(path, BOXES)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"PK\x03\x04" * 8, r"its version is .*, so it is no Darknet file"),
        (b"short", "it has 5 bytes, and a header takes 16 or 20"),
        (struct.pack("<iiii", 0, 2, 0, 0), "it has 16 bytes, and the header of version 0.2 takes 20"),
        (struct.pack("<iiiQ", 0, 2, 0, 0), r"layer 0 .* but 0 of 0 are left"),
    ],
)
def test_what_is_no_weights_file_is_refused(data, message, tmp_path):
    path = tmp_path / "a.weights"
    path.write_bytes(data)

    with pytest.raises(ValueError, match=message):
        read_state(path, BOXES)


def test_nothing_is_written_where_an_array_is_missing_or_of_another_shape(tmp_path):
    path, state = tmp_path / "a.weights", arrays(BOXES)
    del state["layers.0.bn.bias"]
    state["layers.1.bn.bias"] = np.zeros(3, np.float32)

    with pytest.raises(ValueError, match=r"layers.0.bn.bias is missing; layers.1.bn.bias is \(3,\), not \(8,\)"):
        write_weights(path, BOXES, state)

    assert not path.exists()


def test_layers_that_a_file_leaves_out_are_not_read(tmp_path):
    rows = [dict(row) for row in BOXES]
    rows[1]["dontload"], rows[2]["dontloadscales"] = 1, 1

    names = [entry.name for entry in entries(plan_of(rows))]

    assert names[:2] == ["layers.1.bn.bias", "layers.1.conv.weight"]


# --- loading


def test_a_network_is_what_its_file_says(boxes):
    path, state = boxes

    net = Darknet(BOXES, weights=path)

    assert net.weights_report.matched == list(state)
    np.testing.assert_array_equal(net.state_dict()["layers.8.conv.weight"].numpy(), state["layers.8.conv.weight"])


def test_a_network_of_inner_outputs_takes_its_part_of_the_file(boxes):
    path, state = boxes

    net = Darknet(BOXES, outputs=[8], weights=path)

    assert net.weights_report.missing == []
    assert set(net.weights_report.unexpected) == {key for key in state if int(key.split(".")[1]) > 8}


def test_other_classes_and_channels_take_what_fits(boxes):
    path, state = boxes

    net = Darknet(BOXES, in_channels=1, num_classes=5, weights=path)

    report = net.weights_report
    assert report.adapted == ["layers.0.conv.weight"]
    assert report.skipped == [f"layers.{n}.conv.{part}" for n in (11, 16) for part in ("bias", "weight")]
    got = net.state_dict()["layers.0.conv.weight"].numpy()
    np.testing.assert_allclose(got, state["layers.0.conv.weight"].sum(1, keepdims=True), rtol=1e-6)


def test_a_file_of_the_network_as_it_is_needs_no_adapting(tmp_path):
    net = Darknet(BOXES, num_classes=5)
    path = tmp_path / "five.weights"
    write_weights(path, net.plan, net.state_dict())

    again = Darknet(BOXES, num_classes=5, weights=path)

    assert again.weights_report.skipped == []


def test_a_file_that_stops_early_leaves_the_rest_as_it_was(boxes, tmp_path):
    _, state = boxes
    path = tmp_path / "boxes.conv.7"
    write_weights(path, BOXES, state, upto=7)

    with pytest.warns(UserWarning, match="9 of 34 entries are not in .*boxes.conv.7 and keep their random values"):
        net = Darknet(BOXES, weights=path)

    assert {int(key.split(".")[1]) for key in net.weights_report.matched} == {0, 1, 3, 6}
    assert "layers.8.conv.weight" in net.weights_report.missing


def test_safetensors_serve_too(boxes, tmp_path):
    path, _ = boxes
    net = Darknet(BOXES, weights=path)
    mcore.save(net.state_dict(), tmp_path / "net.safetensors")

    again = Darknet(BOXES, num_classes=5, weights=tmp_path / "net.safetensors")

    assert len(again.weights_report.skipped) == 4
    np.testing.assert_array_equal(
        again.state_dict()["layers.8.conv.weight"].numpy(), net.state_dict()["layers.8.conv.weight"].numpy()
    )


def test_a_named_file_that_lacks_entries_is_told(tmp_path):
    state = Darknet(BOXES).state_dict()
    del state["layers.0.conv.weight"]
    mcore.save(state, tmp_path / "part.safetensors")

    with pytest.warns(UserWarning, match="1 of 34 entries are not in .*part.safetensors.*: layers.0.conv.weight"):
        Darknet(BOXES, weights=tmp_path / "part.safetensors")


def test_a_file_of_other_shapes_loads_nothing(tmp_path):
    mcore.save({"layers.1.conv.weight": mcore.zeros(8, 8, 1, 1)}, tmp_path / "other.safetensors")

    with pytest.raises(ValueError, match=r"nothing was loaded: layers.1.conv.weight: the file has \(8, 8, 1, 1\)"):
        Darknet(BOXES, weights=tmp_path / "other.safetensors")


def test_a_file_of_other_names_loads_nothing(tmp_path):
    mcore.save({"conv.weight": mcore.zeros(1)}, tmp_path / "other.safetensors")

    with pytest.raises(
        ValueError, match=r"nothing in .*other.safetensors matches: it has conv.weight, .*the network has layers.0"
    ):
        Darknet(BOXES, weights=tmp_path / "other.safetensors")


def test_a_file_is_loaded_into_a_network_that_stands(boxes):
    path, state = boxes
    net = Darknet(BOXES)

    models.load_weights(net, path)

    np.testing.assert_array_equal(net.state_dict()["layers.8.conv.weight"].numpy(), state["layers.8.conv.weight"])


def test_a_detectors_classes_are_picked_by_their_numbers(tmp_path):
    path, state = tmp_path / "yolov3-tiny.weights", arrays("yolov3-tiny")
    write_weights(path, "yolov3-tiny", state)

    net = YOLOv3Tiny(num_classes=2, weights={"file": str(path), "classes": [7, 0]})

    assert net.weights_report.adapted == [f"layers.{n}.conv.{part}" for n in (15, 22) for part in ("bias", "weight")]
    expected = state["layers.22.conv.weight"].reshape(3, 85, -1)[:, [0, 1, 2, 3, 4, 12, 5]].reshape(21, -1)
    np.testing.assert_array_equal(net.state_dict()["layers.22.conv.weight"].numpy().reshape(21, -1), expected)


def test_options_that_need_names_are_refused(boxes):
    with pytest.raises(ValueError, match=r"take have no meaning for .*boxes.weights, whose entries have no names"):
        Darknet(BOXES, weights={"file": str(boxes[0]), "take": "layers.*"})


# --- layers


def module(section, given, **options):
    """The module of one section behind a map of these channels, height and width."""
    channels, height, width = given
    net = {"section": "net", "channels": channels, "height": height, "width": width}
    return module_of(plan_of([net, {"section": section, **options}]).layers[0], "pjreddie").eval()


def ramp(*shape):
    return np.arange(int(np.prod(shape)), dtype=np.float32).reshape(shape)


def by_numbers(x, step):
    """[reorg] number by number, as Darknet's loops go over a map of x's size."""
    _, channels, height, width = x.shape
    flat, result, fewer = x.ravel(), np.zeros(x.size, x.dtype), channels // step**2
    for k in range(channels):
        for j in range(height):
            for i in range(width):
                offset = k // fewer
                column, row = i * step + offset % step, j * step + offset // step
                source = column + width * step * (row + height * step * (k % fewer))
                result[i + width * (j + height * k)] = flat[source]
    return result.reshape(1, channels * step**2, height // step, width // step)


def test_reorg_mixes_pixels_as_darknet_does():
    x = ramp(1, 8, 4, 6)

    got = module("reorg", (8, 4, 6), stride=2)(mcore.from_numpy(x))

    np.testing.assert_array_equal(got.numpy(), by_numbers(x, 2))


def test_reorg3d_keeps_squares_together():
    x = ramp(1, 2, 4, 6)

    got = module("reorg3d", (2, 4, 6), stride=2)(mcore.from_numpy(x)).numpy()

    np.testing.assert_array_equal(got[0, :, 1, 2], x[:, :, 2:4, 4:6].transpose(0, 2, 3, 1).ravel())


def test_reorg_in_reverse_undoes_reorg3d():
    x = mcore.from_numpy(ramp(1, 2, 4, 6))

    squares = module("reorg3d", (2, 4, 6), stride=2)(x)
    back = module("reorg3d", (8, 2, 3), stride=2, reverse=1)(squares)

    np.testing.assert_array_equal(back.numpy(), x.numpy())


@pytest.mark.parametrize(("size", "stride"), [(2, 2), (2, 1), (3, 2), (3, 1), (4, 2), (5, 1), (4, 3)])
@pytest.mark.parametrize("pixels", [7, 8])
def test_max_pooling_pads_by_the_window_less_one(size, stride, pixels):
    x = -ramp(1, 1, 1, pixels)

    got = module("maxpool", (1, 1, pixels), size=size, stride=stride)(mcore.from_numpy(x)).numpy()

    starts = range(-((size - 1) // 2), pixels - (size - 1) // 2, stride)
    expected = [max(x[0, 0, 0, max(0, at) : at + size]) for at in starts][: (pixels - 1) // stride + 1]
    np.testing.assert_array_equal(got[0, 0, 0], expected)


def test_a_local_layer_has_weights_of_its_own_at_each_pixel():
    layer = module("local", (2, 4, 3), filters=3, size=3, pad=1, activation="linear")
    state = {key: golden.fill(key, tuple(map(int, value.shape)), 1.0) for key, value in layer.state_dict().items()}
    layer.load_state_dict({key: mcore.from_numpy(value) for key, value in state.items()})
    x = np.random.RandomState(0).standard_normal((1, 2, 4, 3)).astype(np.float32)

    got = layer(mcore.from_numpy(x)).detach().numpy()

    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    for row in range(4):
        for column in range(3):
            window = padded[0, :, row : row + 3, column : column + 3].ravel()
            expected = state["weight"][3 * row + column] @ window + state["bias"][:, row, column]
            np.testing.assert_allclose(got[0, :, row, column], expected, rtol=1e-4, atol=1e-5)


def sums(first, second, **options):
    """The module of a [shortcut] over maps of these channels, at stride 1 and, of the second, `stride`."""
    stride = options.pop("stride", 1)
    rows = [
        {"section": "convolutional", "filters": first},
        {"section": "convolutional", "filters": second, "stride": stride},
        {"section": "shortcut", "from": [0], **options},
    ]
    return module_of(plan_of(rows).layers[2], "pjreddie").eval()


def test_a_shortcut_of_other_channels_adds_those_that_both_have():
    for before, now in ((2, 3), (3, 2)):
        layer = sums(before, now)

        got = layer(mcore.zeros(1, now, 2, 2), mcore.ones(1, before, 2, 2))

        assert got[0, :, 0, 0].tolist() == [1.0, 1.0, 0.0][:now]


def test_a_shortcut_from_a_finer_map_adds_every_second_pixel():
    got = sums(1, 1, stride=2)(mcore.zeros(1, 1, 2, 2), mcore.from_numpy(ramp(1, 1, 4, 4)))

    assert got.flatten().tolist() == [0.0, 2.0, 8.0, 10.0]


@pytest.mark.parametrize(
    ("normalization", "expected"),
    [
        ("none", [3.0, -1.0]),
        ("relu", [3.0 / 3.0001, 0.0]),
        ("softmax", [1.0 / (1.0 + np.exp(-4.0) + 1e-4), np.exp(-4.0) / (1.0 + np.exp(-4.0) + 1e-4)]),
    ],
)
def test_a_weighted_shortcut_normalizes_its_weights(normalization, expected):
    layer = sums(1, 1, weights_type="per_feature", weights_normalization=normalization)
    layer.load_state_dict({"weights": mcore.tensor([3.0, -1.0])})

    shares = [layer(*pair).item() for pair in ((mcore.ones(1, 1, 1, 1), mcore.zeros(1, 1, 1, 1)),)]
    shares += [layer(mcore.zeros(1, 1, 1, 1), mcore.ones(1, 1, 1, 1)).item()]

    np.testing.assert_allclose(shares, expected, rtol=1e-5)


def test_a_route_takes_one_group_of_each_map():
    rows = [
        {"section": "convolutional", "filters": 4},
        {"section": "convolutional", "filters": 2},
        {"section": "route", "layers": [0, 1], "groups": 2, "group_id": 1},
    ]
    layer = module_of(plan_of(rows).layers[2], "alexeyab")

    got = layer(mcore.from_numpy(ramp(1, 4, 1, 1)), mcore.from_numpy(10 + ramp(1, 2, 1, 1)))

    assert got.flatten().tolist() == [2.0, 3.0, 11.0]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("leaky", [-0.2, 3.0]),
        ("relu6", [0.0, 3.0]),
        ("ramp", [-0.2, 3.3]),
        ("loggy", [np.tanh(-1.0), np.tanh(1.5)]),
        ("relie", [-0.02, 3.0]),
        ("hardtan", [-1.0, 1.0]),
        ("swish", [-2.0 / (1 + np.exp(2.0)), 3.0 / (1 + np.exp(-3.0))]),
        ("mish", [-2.0 * np.tanh(np.log1p(np.exp(-2.0))), 3.0 * np.tanh(np.log1p(np.exp(3.0)))]),
    ],
)
def test_an_activation_is_darknets(name, expected):
    layer = module("activation", (2, 1, 1), activation=name)

    got = layer(mcore.tensor([-2.0, 3.0]))

    np.testing.assert_allclose(got.numpy(), expected, rtol=1e-5)


def test_softmax_is_over_the_groups_of_an_image():
    got = module("softmax", (4, 1, 1), groups=2)(mcore.zeros(3, 4, 1, 1))

    assert got.flatten(1).tolist() == [[0.5] * 4] * 3


def test_a_crop_takes_the_middle_and_spreads_its_values():
    got = module("crop", (1, 4, 4), crop_height=2, crop_width=2)(mcore.from_numpy(ramp(1, 1, 4, 4) / 15))

    np.testing.assert_allclose(got.flatten().numpy(), 2 * np.array([5, 6, 9, 10]) / 15 - 1, rtol=1e-6)


# --- backbones


@pytest.mark.parametrize(
    ("make", "name", "stages"),
    [(darknet53, "darknet53", (11, 36, 61, 74)), (cspdarknet53, "csdarknet53-omega", (23, 54, 85, 104))],
)
def test_a_backbone_of_timms_names_gives_what_darknet_does(make, name, stages, tmp_path):
    rows = [{**row, **({"activation": "leaky"} if row.get("activation") == "mish" else {})} for row in published(name)]
    flavour = PUBLISHED[name].flavour
    path, state = tmp_path / f"{name}.conv.{stages[-1] + 1}", arrays(name)
    write_weights(path, name, state, upto=stages[-1] + 1)
    original = Darknet(rows, outputs=stages, flavour=flavour, weights=path).eval()
    backbone = make(negative_slope=0.1).eval()

    found = {key: mcore.from_numpy(np.array(value)) for key, value in backbone_state(path, make.__name__).items()}
    backbone.load_state_dict({**backbone.state_dict(), **found})

    x = mcore.from_numpy(golden._input("backbone", (1, 3, 64, 64)))
    with mcore.no_grad():
        pairs = list(zip(original(x), backbone(x), strict=True))
    for expected, got in pairs:
        np.testing.assert_allclose(got.numpy(), expected.numpy(), rtol=0, atol=1e-5 * float(expected.abs().max()))


BACKBONES = [
    pytest.param("darknet53", "yolov3", 74, {"negative_slope": 0.1}, (11, 36, 61, 74), id="darknet53.conv.74"),
    pytest.param("cspdarknet53", "yolov4", 137, {"activation": "mish"}, (23, 54, 85, 104), id="yolov4.conv.137"),
]


@pytest.fixture(scope="module")
def cut(tmp_path_factory):
    """Files that detectors are trained from, written once."""
    folder = tmp_path_factory.mktemp("cut")

    def file(backbone, detector, upto):
        path = folder / f"{backbone}.conv.{upto}"
        if not path.exists():
            # Mish and leaky ReLUs keep about this much of a spread.
            write_weights(path, detector, arrays(detector, 1.4), upto=upto)
        return path

    return file


@pytest.mark.parametrize("how", ["made", "assembled", "from a configuration"])
@pytest.mark.parametrize(("name", "detector", "upto", "activation", "stages"), BACKBONES)
def test_a_backbone_made_from_a_file_gives_what_darknet_does(name, detector, upto, activation, stages, how, cut):
    path = cut(name, detector, upto)
    spec = {"type": name, **activation, "weights": str(path)}
    if how == "made":
        backbone = mcore.build({**spec, "out_indices": [1, 2, 3, 4]})
    elif how == "assembled":
        backbone = models.assemble(mcore.build(spec), Identity()).backbone
    else:
        backbone = models.from_config({"model": {"backbone": spec, "head": {"type": "Segmentation", "num_classes": 2}}})
        backbone, stages = backbone.backbone, stages[3:]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        original = Darknet(detector, outputs=stages, weights=path)
    x = mcore.from_numpy(golden._input("backbone", (1, 3, 64, 96)))

    with mcore.no_grad():
        results = [original.eval()(x), backbone.eval()(x)]

    theirs, ours = (result if isinstance(result, tuple | list) else [result] for result in results)
    for expected, got in zip(theirs, ours, strict=True):
        np.testing.assert_allclose(got.numpy(), expected.numpy(), rtol=0, atol=1e-5 * float(expected.abs().max()))


@pytest.mark.parametrize(("name", "detector", "upto", "activation", "stages"), BACKBONES)
def test_a_file_of_other_activations_is_refused(name, detector, upto, activation, stages, cut):
    fits = ", ".join(f"{key}=" + json.dumps(value) for key, value in activation.items())

    with pytest.raises(ValueError, match=rf"was trained with .*, and {name} has LeakyReLU.*0.01.*; give {fits}"):
        mcore.build({"type": name, "weights": str(cut(name, detector, upto))})


def test_other_activations_are_warned_of_where_they_are_asked_for(cut):
    path = cut("cspdarknet53", "yolov4", 137)

    with pytest.warns(UserWarning, match=r"was trained with Mish\(\), and cspdarknet53 has LeakyReLU.*0.1.*, as asked"):
        cspdarknet53(negative_slope=0.1, weights=path)


def test_a_backbone_without_a_description_is_refused(boxes):
    with pytest.raises(ValueError, match=r"it fits darknet53 and cspdarknet53, not resnet18"):
        backbone_state(boxes[0], "resnet18")


def test_a_file_of_another_network_is_refused_for_a_backbone(boxes):
    with pytest.raises(ValueError, match=r"fits none of darknet53, yolov3, yolov3-spp; as darknet53: "):
        backbone_state(boxes[0], "darknet53")
