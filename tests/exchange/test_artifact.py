"""Artifacts: what stands in the folder, what is verified, and that failures leave nothing."""

import json
import os

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

import mcore
from mcore.exchange import artifact
from mcore.exchange.errors import ModelFileError, StorageError
from mcore.exchange.files import load_arrays
from mcore.exchange.imports import read_state
from tests.exchange.nets import Dropping, Net, Plain, Two, Wrong, filled
from tests.isolation import run

SIZES = [(1, 3, 16, 12), (2, 3, 20, 24), (3, 3, 9, 11)]


@pytest.fixture
def net():
    return filled(Net(5, classes=3))


def test_the_folder_holds_what_the_contract_says(tmp_path, net):
    made = net.toplatform(tmp_path / "exports" / "net", sizes=SIZES)

    assert sorted(os.listdir(made.path)) == [
        "model.json", "model.onnx", "state.safetensors", *(f"test_data_set_{k}" for k in range(3))
    ]  # fmt: skip
    assert sorted(os.listdir(made.path / "test_data_set_2")) == ["input_0.pb", "output_0.pb"]
    assert os.listdir(tmp_path) == ["exports"]
    onnx.checker.check_model(str(made.path / "model.onnx"), full_check=True)


def test_data_sets_hold_the_modules_own_answers(tmp_path, net):
    made = net.toplatform(tmp_path / "net", sizes=SIZES)

    for k, size in enumerate(SIZES):
        x, y = (
            numpy_helper.to_array(onnx.load_tensor(made.path / f"test_data_set_{k}" / f"{kind}_0.pb"))
            for kind in ("input", "output")
        )
        assert x.shape == size
        assert (net(torch.tensor(x)).detach().numpy() == y).all()


def test_the_state_is_whole_and_no_entry_stands_in_two_places(tmp_path, net):
    made = net.toplatform(tmp_path / "net", sizes=SIZES)

    graph = {tensor.name for tensor in made.model.graph.initializer}
    apart = load_arrays(made.path / "state.safetensors")
    expected = net.state_dict()
    assert "unused.weight" in apart
    assert "backbone.1.num_batches_tracked" in apart
    assert not graph & set(apart)
    assert set(expected) <= graph | set(apart)
    found = read_state(made.path)
    assert list(found) == list(expected)
    assert all((found[name] == expected[name].numpy()).all() for name in expected)


def test_folded_norms_and_weights_are_kept_apart(tmp_path, net):
    made = net.toplatform(tmp_path / "net", sizes=SIZES, fold=True)

    found = read_state(made.path)
    assert all((found[name] == tensor.numpy()).all() for name, tensor in net.state_dict().items())


def test_the_description_tells_class_arguments_inputs_and_versions(tmp_path, net):
    made = net.toplatform(tmp_path / "net", sizes=SIZES)

    said = json.loads((made.path / "model.json").read_text())
    assert said == made.description
    assert said["class"] == "tests.exchange.nets:Net"
    assert said["arguments"] == {"width": 5, "options": {"classes": 3}}
    assert [(x["name"], x["dtype"], x["shape"][1]) for x in said["inputs"]] == [("x", "float32", 3)]
    assert said["versions"]["torch"] == torch.__version__
    assert said["versions"]["opset"]["ai.onnx"] == 21
    assert said["code_hash"]
    assert len(said["report"]["differences"]) == 3
    assert set(said["files"]) == {"model.onnx", "state.safetensors"}


def test_the_report_has_a_difference_for_each_size(tmp_path, net):
    made = net.toplatform(tmp_path / "net", sizes=SIZES)

    assert [shapes for shapes, _ in made.report.differences] == [(size,) for size in SIZES]
    assert made.report.largest < 1e-5
    assert "verified at 3x3x9x11" in str(made.report)


@pytest.mark.parametrize("count", [1, 2])
def test_fewer_sizes_than_three_are_joined_by_others(tmp_path, net, count):
    made = net.toplatform(tmp_path / "net", sizes=SIZES[:count])

    shapes = [sample.inputs[0].shape for sample in made.samples]
    assert len(set(shapes)) == 3
    assert all(len({shape[axis] for shape in shapes}) == 3 for axis in (0, 2, 3))
    assert {shape[1] for shape in shapes} == {3}


def test_a_network_without_free_axes_is_verified_with_other_numbers(tmp_path, net):
    made = net.toplatform(tmp_path / "net", sizes=SIZES[:1], dynamic=None)

    assert [sample.inputs[0].shape for sample in made.samples] == [SIZES[0]] * 3
    assert not (made.samples[0].inputs[0] == made.samples[1].inputs[0]).all()
    assert "no axis is free" in str(made.report)


def test_several_inputs_of_other_types_are_given_as_data(tmp_path):
    inputs = [(mcore.randn(n, 4), mcore.randint(0, 10, (n, m))) for n, m in ((2, 3), (3, 5), (4, 2))]

    made = filled(Two()).toplatform(tmp_path / "two", inputs=inputs)

    assert [info.name for info in made.model.graph.input] == ["x", "ids"]
    assert [info.name for info in made.model.graph.output] == ["sum", "found"]
    assert sorted(os.listdir(made.path / "test_data_set_0")) == [
        "input_0.pb", "input_1.pb", "output_0.pb", "output_1.pb"
    ]  # fmt: skip


def test_ids_of_further_data_sets_stay_in_range(tmp_path):
    made = filled(Two()).toplatform(tmp_path / "two", inputs=[(mcore.randn(2, 4), mcore.randint(0, 10, (2, 3)))])

    assert len(made.samples) == 3
    assert all(sample.inputs[1].min() >= 0 and sample.inputs[1].max() < 10 for sample in made.samples)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "either sizes"),
        ({"sizes": [(1, 3)], "inputs": []}, "either sizes"),
        ({"sizes": []}, "at least one size"),
        ({"sizes": [(1, "a")]}, "is no shape"),
        ({"sizes": [(1, 3, 8, 8), (3, 8)]}, "of the same dtypes and ranks"),
    ],
)
def test_sizes_that_make_no_sense_are_refused(tmp_path, options, words):
    with pytest.raises(ValueError, match=words):
        Plain().toplatform(tmp_path / "x", **options)
    assert os.listdir(tmp_path) == []


def test_a_graph_that_gives_other_numbers_is_refused_by_size_and_output(tmp_path):
    with pytest.raises(RuntimeError, match=r"at size 2x3 the graph is wrong: output \w+ differs.*Nothing was written"):
        Wrong().eval().toplatform(tmp_path / "deep" / "x", sizes=[(2, 3), (3, 4), (4, 5)])
    assert os.listdir(tmp_path) == []


def test_a_module_that_draws_random_numbers_in_train_mode_is_refused(tmp_path):
    with pytest.raises(RuntimeError, match=r"train mode, in which drop \(Dropout\).*eval\(\)"):
        Dropping().toplatform(tmp_path / "x", sizes=[(2, 3)])
    assert os.listdir(tmp_path) == []


def test_a_module_that_does_not_care_is_exported_in_train_mode_and_it_is_said(tmp_path):
    made = Plain().toplatform(tmp_path / "x", sizes=[(2, 3)])

    assert "exported in train mode" in str(made.report)
    assert made.description["training"] is True


def test_an_artifact_is_overwritten_only_when_asked(tmp_path, net):
    net.toplatform(tmp_path / "net", sizes=SIZES)
    before = (tmp_path / "net" / "model.onnx").read_bytes()

    with pytest.raises(FileExistsError, match="overwrite=True"):
        filled(Net(6)).toplatform(tmp_path / "net", sizes=SIZES)
    assert (tmp_path / "net" / "model.onnx").read_bytes() == before

    filled(Net(6)).toplatform(tmp_path / "net", sizes=SIZES, overwrite=True)
    assert (tmp_path / "net" / "model.onnx").read_bytes() != before


def test_overwriting_never_deletes_what_is_no_artifact(tmp_path, net):
    net.toplatform(tmp_path / "net", sizes=SIZES)
    (tmp_path / "net" / "thesis.tex").write_text("years")

    with pytest.raises(FileExistsError, match="holds other things"):
        net.toplatform(tmp_path / "net", sizes=SIZES, overwrite=True)

    assert (tmp_path / "net" / "thesis.tex").exists()


def test_a_failed_export_leaves_the_artifact_that_was_there(tmp_path, net):
    net.toplatform(tmp_path / "net", sizes=SIZES)

    with pytest.raises(RuntimeError, match="the graph is wrong"):
        Wrong().eval().toplatform(tmp_path / "net", sizes=[(2, 3)], overwrite=True)

    assert Net.fromplatform(tmp_path / "net").head.weight.shape == (3, 5)


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path, net, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(artifact, "write_model", full)

    with pytest.raises(StorageError, match="no room is left"):
        net.toplatform(tmp_path / "net", sizes=SIZES)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"act": lambda: torch.nn.ReLU()}, r"Net\(act=\).*<lambda>"),
        ({"bias": torch.ones(3)}, r"Net\(options=\)\['bias'\]"),
        ({"names": ("a", object())}, r"Net\(names=\)\[1\]"),
    ],
)
def test_an_argument_that_cannot_be_written_is_named(tmp_path, arguments, name):
    net = filled(Net(4, **arguments))

    with pytest.raises(TypeError, match=name):
        net.toplatform(tmp_path / "net", sizes=SIZES)
    assert os.listdir(tmp_path) == []

    made = net.toplatform(tmp_path / "net", sizes=SIZES, description=False)
    assert made.description["arguments"] is None
    with pytest.raises(TypeError, match="load_platform"):
        Net.fromplatform(tmp_path / "net")
    Net(4).load_platform(tmp_path / "net")


def test_large_weights_stand_beside_the_graph(tmp_path, net, monkeypatch):
    monkeypatch.setattr(artifact, "EXTERNAL_FROM", 100)
    net = filled(Net(64))

    made = net.toplatform(tmp_path / "net", sizes=SIZES)

    assert (made.path / "model.onnx.data").stat().st_size > 4096
    assert len(made.model.graph.initializer[0].raw_data) > 0
    onnx.checker.check_model(str(made.path / "model.onnx"))
    again = Net.fromplatform(tmp_path / "net")
    assert all(torch.equal(a, b) for a, b in zip(again.state_dict().values(), net.state_dict().values(), strict=True))


def test_a_module_of_torch_that_nobody_here_wrote_is_exported(tmp_path):
    foreign = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU()).eval()

    made = mcore.toplatform(foreign, tmp_path / "x", sizes=SIZES)

    assert made.description["class"].endswith("Sequential")
    assert made.report.largest < 1e-5


def test_how_a_foreign_module_was_made_is_told_where_its_layers_tell_it(tmp_path):
    class Theirs(torch.nn.Module):
        def forward(self, x):
            return x + 1.0

    layers = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, bias=False), torch.nn.BatchNorm2d(4)).eval()
    mcore.toplatform(layers, tmp_path / "layers", sizes=SIZES)
    made = mcore.toplatform(torch.nn.Sequential(Theirs()).eval(), tmp_path / "theirs", sizes=SIZES)

    again = mcore.fromplatform(tmp_path / "layers")
    assert repr(again) == repr(layers)
    assert all(
        torch.equal(a, b) for a, b in zip(again.state_dict().values(), layers.state_dict().values(), strict=True)
    )
    assert made.description["arguments"] is None


def test_a_flipped_bit_in_the_weights_is_found(tmp_path, net):
    made = net.toplatform(tmp_path / "net", sizes=SIZES)
    content = bytearray((made.path / "model.onnx").read_bytes())
    content[content.index(b"conv" if b"conv" in content else b"backbone") + 400] ^= 1
    (made.path / "model.onnx").write_bytes(content)

    with pytest.raises(ModelFileError, match="hash differs"):
        Net.fromplatform(made.path)


def test_buffers_are_what_they_were(tmp_path, net):
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}

    net.toplatform(tmp_path / "net", sizes=SIZES)

    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())


CROSS = """
import numpy as np, mcore
from tests.exchange.nets import Net, filled
x = mcore.from_numpy(np.load("x.npy"))
"""


def test_artifacts_travel_from_torch_to_the_platform_and_back(tmp_path, net):
    x = np.random.default_rng(0).standard_normal((2, 3, 17, 13), np.float32)
    np.save(tmp_path / "x.npy", x)
    net.toplatform(tmp_path / "there", sizes=SIZES)

    run(
        CROSS + """
net = Net.fromplatform("there")
assert type(net) is Net and net.head.weight.shape == (3, 5) and not net.training
np.save("same_class.npy", net(x).numpy())
np.save("any.npy", mcore.fromplatform("there")(x).numpy())
net.head.bias.data = net.head.bias.data + 1.0
net.toplatform("back", sizes=[(1, 3, 16, 12)])
""",
        engine="platform",
        without=["torch"],
        cwd=tmp_path,
    )  # fmt: skip

    expected = net(torch.tensor(x)).detach().numpy()
    np.testing.assert_allclose(np.load(tmp_path / "same_class.npy"), expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(np.load(tmp_path / "any.npy"), expected, rtol=1e-5, atol=1e-5)
    back = mcore.fromplatform(tmp_path / "back")
    assert type(back) is Net
    np.testing.assert_allclose(back(torch.tensor(x)).detach().numpy(), expected + 1, rtol=1e-5, atol=1e-5)
