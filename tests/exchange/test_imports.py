"""Artifacts back to modules and weights; files that want what they may not have."""

import json
import os
import sys

import numpy as np
import onnx
import pytest
import torch

import mcore
from mcore.exchange import description
from mcore.exchange.errors import ModelFileError
from tests.exchange.nets import Net, Other, Plain, filled

SIZES = [(1, 3, 16, 12), (2, 3, 20, 24), (3, 3, 9, 11)]


@pytest.fixture
def made(tmp_path):
    return filled(Net(5, mcore.Conv2d(5, 5, 1), classes=3)).toplatform(tmp_path / "net", sizes=SIZES)


def edited(made, **changes):
    path = made.path / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return made.path


def same(a, b):
    return all(torch.equal(p, q) for p, q in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def test_a_class_comes_back_with_arguments_and_weights(made):
    again = Net.fromplatform(made.path)

    assert same(again, filled(Net(5, mcore.Conv2d(5, 5, 1), classes=3)))
    assert not again.training


def test_a_base_class_and_the_graphs_own_path_lead_to_the_same(made):
    assert type(mcore.Module.fromplatform(made.path)) is Net
    assert type(mcore.fromplatform(made.path)) is Net
    assert type(mcore.fromplatform(made.path / "model.onnx")) is Net


def test_another_class_is_refused(made):
    with pytest.raises(TypeError, match="no Other"):
        Other.fromplatform(made.path)


@pytest.mark.parametrize(
    "arguments",
    [
        {"names": ["a", ("b", 1.5, None, True), {"c": float("inf")}], "dtype": mcore.float16},
        {"act": mcore.Tanh, "table": {1: "one", (2, 3): "two"}},
        {"names": mcore.Size([1, 2]) if hasattr(mcore, "Size") else (1, 2), "flags": {"$odd": 1}},
        {"f": mcore.functional.relu, "set": {1, 2}},
    ],
)
def test_arguments_come_back_as_they_were_received(tmp_path, arguments):
    net = filled(Net(3, **arguments))
    net.toplatform(tmp_path / "net", sizes=SIZES)

    assert Net.fromplatform(tmp_path / "net")._arguments == net._arguments


def test_a_part_handed_in_twice_is_one_part_again(tmp_path):
    block = mcore.Conv2d(4, 4, 1)
    filled(Net(4, block, block)).toplatform(tmp_path / "net", sizes=SIZES)

    again = Net.fromplatform(tmp_path / "net")

    assert again.backbone[3] is again.backbone[4]


# --- weights


def test_weights_alone_go_into_a_module_that_is_there(made):
    net = Net(5, mcore.Conv2d(5, 5, 1), classes=3)

    keys = net.load_platform(made.path)

    assert keys == ([], [])
    assert same(net, filled(Net(5, mcore.Conv2d(5, 5, 1), classes=3)))


def test_a_part_is_taken_and_the_rest_left(tmp_path):
    filled(Net(4)).toplatform(tmp_path / "net", sizes=SIZES)
    other = Other(4)
    neck = other.neck.weight.clone()
    extra = filled(Net(4)).state_dict()

    other.backbone[0].weight.data.zero_()
    with pytest.raises(RuntimeError, match="Missing key"):
        Net(4, mcore.Conv2d(4, 4, 1)).load_platform(tmp_path / "net", part="backbone")
    other.load_platform(tmp_path / "net", part="backbone")

    assert torch.equal(other.backbone[0].weight, extra["backbone.0.weight"])
    assert torch.equal(other.neck.weight, neck)


def test_a_part_that_is_not_there_is_told_with_those_that_are(made):
    with pytest.raises(KeyError, match="no part 'bckbone'; it has backbone, head, unused"):
        Net(5).load_platform(made.path, part="bckbone")
    with pytest.raises(KeyError, match="Plain has no part"):
        Plain().load_platform(made.path, part="backbone")


def test_weights_that_fit_partly_change_nothing_and_all_is_told(made):
    net = Net(6, classes=3)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}

    with pytest.raises(RuntimeError, match=r"(?s)Unexpected key.*backbone.3.weight.*size mismatch.*head.weight"):
        net.load_platform(made.path)

    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())


def test_a_bare_graph_gives_its_initializers_by_name(made, tmp_path):
    bare = tmp_path / "bare.onnx"
    onnx.save(made.model, bare)

    net = Net(5, mcore.Conv2d(5, 5, 1), classes=3)
    net.load_platform(bare, part="head")

    saved = {t.name: onnx.numpy_helper.to_array(t) for t in made.model.graph.initializer}
    head = {name: tensor for name, tensor in net.state_dict().items() if name.startswith("head.")}
    assert head
    assert all(np.array_equal(tensor.numpy(), saved[name]) for name, tensor in head.items())


# --- files that want what they may not have


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"class": "os:system"}, "no component"),
        ({"class": "antigravity:fly"}, "has not imported"),
        ({"class": "tests.exchange.nets:filled"}, "no component"),
        ({"class": "mcore.exchange.files:save"}, "no class|no component|not a type|is no"),
        ({"class": "models:sys.exit"}, "is not there|no component"),
        ({"class": "tests.exchange.nets:Nothing"}, "is not there"),
        ({"class": "nonsense"}, "no component|is not there|has not imported"),
        ({"class": None}, "'class' is missing"),
        ({"format": 99}, "later mcore"),
        ({"format": None}, "not the description"),
        ({"arguments": {"width": {"$name": "os:system"}}}, "no component"),
        (
            {"arguments": {"width": {"$module": {"class": "subprocess:Popen", "arguments": {"args": "ls"}}}}},
            "compon|import",
        ),
        ({"arguments": {"width": {"$same": 5}}}, "means nothing"),
        ({"arguments": {"width": {"$dtype": "load"}}}, "means nothing"),
        ({"arguments": {"width": "wide"}}, "cannot be made"),
        ({"arguments": {"height": 3}}, "Missing|Unexpected|size mismatch|cannot be made"),
        ({"arguments": [1]}, "'arguments' is missing or damaged"),
        ({"files": {"../x": {}}}, "damaged"),
        ({"state": ["nothing"]}, "entries of its state are missing"),
    ],
)
def test_a_description_made_to_harm_is_refused_and_imports_nothing(made, changes, words):
    before = set(sys.modules)

    with pytest.raises((ModelFileError, RuntimeError, TypeError), match=words):
        mcore.fromplatform(edited(made, **changes))

    assert {name for name in set(sys.modules) - before if not name.startswith(("mcore", "models"))} == set()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"format": 1, "format": 1}',
        "[" * 200_000,
        '{"format": NaN}',
        "\ud800".encode("utf-8", "surrogatepass"),
    ],
)
def test_a_damaged_description_is_one_clear_error(made, text):
    (made.path / "model.json").write_bytes(text if isinstance(text, bytes) else text.encode())

    with pytest.raises(ModelFileError, match=r"model\.json"):
        Net.fromplatform(made.path)


def test_a_huge_description_is_refused_unread(made):
    os.truncate(made.path / "model.json", description.LARGEST + 1)

    with pytest.raises(ModelFileError, match="at most"):
        Net.fromplatform(made.path)


@pytest.mark.parametrize("name", ["model.onnx", "state.safetensors"])
@pytest.mark.parametrize("how", ["gone", "empty", "shorter"])
def test_a_missing_or_truncated_file_is_named(made, name, how):
    path = made.path / name
    if how == "gone":
        path.unlink()
    else:
        os.truncate(path, 0 if how == "empty" else path.stat().st_size - 1)

    with pytest.raises(ModelFileError, match=name):
        Net.fromplatform(made.path)


def test_a_folder_that_is_no_artifact_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="no artifact"):
        Net.fromplatform(tmp_path)
    with pytest.raises(FileNotFoundError, match="no artifact"):
        Net.fromplatform(tmp_path / "nowhere")


def test_other_onnx_files_come_back_as_the_graph_that_they_are(made, tmp_path):
    net, x = filled(Net(5, mcore.Conv2d(5, 5, 1), classes=3)), mcore.ones(1, 3, 16, 12)
    onnx.save(made.model, tmp_path / "any.onnx")

    for source in (tmp_path / "any.onnx", made.model, made.model.SerializeToString()):
        graph = mcore.fromplatform(source)
        assert type(graph).__name__ == "OnnxModule"
        assert abs(graph(x) - net(x)).max() < 1e-5
    with pytest.raises(ModelFileError, match="not an ONNX"):
        mcore.fromplatform(b"garbage")
