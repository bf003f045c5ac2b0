"""load_model: formats, versions, refusals; nothing in a file runs unless it is trusted."""

import os

import numpy as np
import pytest

import mcore
from mcore import Conv2d, Sequential, checkpoint
from mcore.checkpoint import load_model
from mcore.exchange.errors import ModelFileError
from tests.checkpoint.tiny import Older, Tiny, tiny_is_registered, write
from tests.isolation import run

__all__ = ["tiny_is_registered"]
SPEC = {"@type": "Tiny", "@version": "0.0.2", "channels": 3}
TORCH = mcore.backend() == "torch"


# --- JSON


@pytest.mark.usefixtures("tiny_is_registered")
def test_a_spec_in_json_becomes_its_module(tmp_path):
    net = load_model(write(tmp_path / "net.json", SPEC))

    assert type(net) is Tiny
    assert net.training
    assert tuple(net(mcore.zeros(2, 1, 5, 4)).shape) == (2, 3, 5, 4)


@pytest.mark.usefixtures("tiny_is_registered")
@pytest.mark.parametrize(
    ("data", "argument", "made"),
    [
        ({"default_version": "0.0.2", "spec": {"@type": "Tiny"}}, "0.0.1", Tiny),
        ({"default_version": "0.0.1", "model": {"@type": "Tiny"}}, None, Older),
        ({"spec": {"@type": "Tiny"}, "@note": "a comment"}, "0.0.1", Older),
        ({"@type": "Tiny"}, "0.0.2", Tiny),
        ({"@type": "Tiny", "@version": "0.0.0"}, "0.0.2", Older),
        ({"default_version": "0.0.2", "spec": {"@type": "Tiny", "@version": "0.0.0"}}, "0.0.2", Older),
    ],
)
def test_the_version_is_the_specs_then_the_files_then_the_arguments(tmp_path, data, argument, made):
    net = load_model(write(tmp_path / "net.json", data), default_version=argument)

    assert type(net) is made


@pytest.mark.usefixtures("tiny_is_registered")
def test_a_type_whose_versions_differ_needs_one_named(tmp_path):
    path = write(tmp_path / "net.json", {"@type": "Tiny"})

    with pytest.raises(ValueError, match=r"differs between versions .*>=0.0.2.*default_version") as caught:
        load_model(path)

    assert str(path) in "".join(caught.value.__notes__)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ('{"@type": "Tiny", "channels": 2, "channels": 3}', "the key 'channels' is there twice in one mapping"),
        ('{"@type": "Tiny",}', "not JSON: .*line 1 column 18"),
        ("", "not JSON"),
        ("[" * 100_000, "nested too deeply"),
        ("[1, 2]", "a spec is a mapping with an '@type', not a list"),
        ('{"layers": 3, "spec": {"@type": "Tiny"}}', "holds 'layers', 'spec'; a model is a mapping"),
        ('{"spec": {"@type": "Tiny"}, "model": {"@type": "Tiny"}}', "holds 'spec', 'model'"),
        ('{"default_version": 2, "spec": {"@type": "Tiny"}}', "default_version is text such as '0.0.2', not 2"),
        ("{}", "holds nothing"),
    ],
)
def test_json_that_is_no_spec_is_told_with_its_file(tmp_path, text, match):
    path = write(tmp_path / "net.json", text)

    with pytest.raises(ModelFileError, match=match) as caught:
        load_model(path)

    assert str(path) in str(caught.value)


def test_bytes_that_are_no_text_are_told(tmp_path):
    (tmp_path / "net.json").write_bytes(b'{"a": "\xff"}')

    with pytest.raises(ModelFileError, match="not text in UTF-8"):
        load_model(tmp_path / "net.json")


def test_a_file_too_large_for_a_spec_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint.spec_files, "LARGEST", 10)

    with pytest.raises(ModelFileError, match="a spec has at most 10"):
        load_model(write(tmp_path / "net.json", SPEC))


@pytest.mark.usefixtures("tiny_is_registered")
def test_a_spec_that_makes_no_module_is_told(tmp_path):
    path = write(tmp_path / "net.json", {**SPEC, "@mode": "partial"})

    with pytest.raises(TypeError, match="its spec makes a Partial; load_model needs one of a module"):
        load_model(path)


@pytest.fixture
def loader_is_registered():
    from mcore.volumes import in_specs

    entry = mcore.registry.Entry("block", "loads", in_specs.load_model, "convnet")
    mcore.registry._registry.entries["convnet", "loads"] = [entry]
    yield
    del mcore.registry._registry.entries["convnet", "loads"]


@pytest.mark.usefixtures("loader_is_registered", "tiny_is_registered")
def test_a_spec_may_load_another_file(tmp_path):
    inner = write(tmp_path / "inner.json", SPEC)

    net = load_model(write(tmp_path / "outer.json", {"@type": "loads", "path": str(inner), "use_cache": True}))

    assert type(net) is Tiny


@pytest.mark.usefixtures("loader_is_registered")
def test_specs_that_load_each_other_end_in_an_error(tmp_path):
    one, other = tmp_path / "one.json", tmp_path / "other.json"
    write(one, {"@type": "loads", "path": str(other)})
    write(other, {"@type": "loads", "path": str(one)})

    with pytest.raises(ModelFileError, match=r"without an end: .*one.json -> .*other.json -> .*one.json"):
        load_model(one)


@pytest.mark.usefixtures("loader_is_registered")
def test_a_spec_cannot_say_that_a_program_is_to_be_trusted(tmp_path):
    (tmp_path / "net.jit").write_bytes(b"PK\x03\x04")
    path = write(tmp_path / "net.json", {"@type": "loads", "path": str(tmp_path / "net.jit"), "trust": True})

    with pytest.raises(TypeError, match="has no argument 'trust'"):
        load_model(path, trust=True)


# --- ONNX


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    net = Sequential(Conv2d(1, 2, 3, padding=1)).eval()
    return net, net.toplatform(tmp_path_factory.mktemp("artifact") / "net", sizes=[(1, 1, 6, 5)]).path


@pytest.mark.parametrize("name", ["", "model.onnx"])
def test_an_artifact_comes_back_with_its_weights(artifact, name):
    net, path = artifact
    x = mcore.randn(2, 1, 7, 5)

    loaded = load_model(path / name if name else path)

    np.testing.assert_allclose(loaded(x).detach().numpy(), net(x).detach().numpy(), rtol=1e-5, atol=1e-6)


def test_any_onnx_file_becomes_a_module(tmp_path):
    net = Sequential(Conv2d(1, 2, 3, padding=1)).eval()
    x = mcore.randn(1, 1, 6, 5)
    (tmp_path / "net.onnx").write_bytes(mcore.to_onnx(net, x).SerializeToString())

    loaded = load_model(tmp_path / "net.onnx")

    np.testing.assert_allclose(loaded(x).detach().numpy(), net(x).detach().numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.usefixtures("tiny_is_registered")
def test_a_spec_and_an_onnx_file_of_one_name_stand_beside_each_other(tmp_path):
    net = Sequential(Conv2d(1, 2, 3, padding=1)).eval()
    x = mcore.randn(1, 1, 6, 5)
    write(tmp_path / "model.json", SPEC)
    (tmp_path / "model.onnx").write_bytes(mcore.to_onnx(net, x).SerializeToString())

    graph = load_model(tmp_path / "model.onnx")

    np.testing.assert_allclose(graph(x).detach().numpy(), net(x).detach().numpy(), rtol=1e-5, atol=1e-6)
    assert type(load_model(tmp_path / "model.json")) is Tiny


def test_the_description_of_an_artifact_is_no_spec(artifact):
    with pytest.raises(ModelFileError, match=r"the description of an artifact, no spec; give its folder, .*net"):
        load_model(artifact[1] / "model.json")


@pytest.mark.parametrize("content", [b"PK\x03\x04 a zip archive", b"", b"\x00" * 64])
@pytest.mark.parametrize("suffix", [".json", ".onnx"])
def test_other_files_under_these_names_are_refused(tmp_path, suffix, content):
    path = tmp_path / f"net{suffix}"
    path.write_bytes(content)

    with pytest.raises(ModelFileError, match=r"net\.(json|onnx): "):
        load_model(path)


# --- refusals


@pytest.mark.parametrize("name", ["net.h5", "net.weights", "net.pth"])
def test_formats_that_are_not_read_are_told_with_those_that_are(tmp_path, name):
    with pytest.raises(ValueError, match=r"Unsupported file format: .*net.*\.json.*\.onnx.*\.jit.*\.ts"):
        load_model(tmp_path / name)


def test_a_file_of_weights_is_told_what_reads_it(tmp_path):
    with pytest.raises(ValueError, match="call load_weights_file"):
        load_model(tmp_path / "net.safetensors")


@pytest.mark.parametrize(("wrong", "right"), [("modle.json", "model.json"), ("artefact", "artifact")])
def test_a_missing_file_or_folder_is_told_with_the_nearest_names(tmp_path, wrong, right):
    write(tmp_path / "model.json", SPEC)
    (tmp_path / "artifact").mkdir()

    with pytest.raises(FileNotFoundError, match=rf"there is no {wrong} in .*; the nearest names there are {right}"):
        load_model(tmp_path / wrong)


@pytest.mark.parametrize("suffix", [".json", ".onnx"])
def test_a_pipe_is_not_waited_for(tmp_path, suffix):
    os.mkfifo(tmp_path / f"net{suffix}")

    with pytest.raises(ModelFileError, match="is not a regular file"):
        load_model(tmp_path / f"net{suffix}")


def test_a_missing_folder_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="nor a folder"):
        load_model(tmp_path / "nowhere" / "net.json")


@pytest.mark.parametrize("path", [3, None, b"net.json"])
def test_what_is_no_path_is_refused(path):
    with pytest.raises(TypeError, match=r"a path is text or an os\.PathLike, got"):
        load_model(path)


@pytest.mark.usefixtures("tiny_is_registered")
@pytest.mark.parametrize("device", ["nonsense", "cuda:77", 3.5])
def test_a_device_that_is_not_there_is_told_with_those_that_are(tmp_path, device):
    with pytest.raises(RuntimeError, match=r"device '.*' is not available.*cpu"):
        load_model(write(tmp_path / "net.json", SPEC), device)


@pytest.mark.parametrize(
    ("name", "shape", "match"),
    [
        ("net.json", (1, 1, 4, 4), "tensorrt_enabled=True requires an ONNX model, got"),
        ("net.onnx", None, "requires input_shape"),
        ("net.onnx", [1, 0], "a list of positive whole numbers"),
        ("net.onnx", [], "a list of positive whole numbers"),
    ],
)
def test_tensorrt_says_what_it_needs(tmp_path, name, shape, match):
    with pytest.raises(ValueError, match=match):
        load_model(tmp_path / name, input_shape=shape, tensorrt_enabled=True)


def test_where_tensorrt_is_missing_the_providers_that_are_there_are_told(artifact):
    with pytest.raises((NotImplementedError, RuntimeError), match="CPUExecutionProvider"):
        load_model(artifact[1] / "model.onnx", input_shape=[1, 1, 6, 5], tensorrt_enabled=True)


@pytest.mark.skipif(TORCH, reason="providers are the platform engine's")
def test_tensorrt_is_asked_for_with_its_folder_and_cuda_beside_it(monkeypatch):
    import onnxruntime

    from mcore.platform import devices

    there = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: there)

    found = devices.providers_of(mcore.device("tensorrt:1"), {"trt_engine_cache_path": "/folder"})

    assert found == [
        ("TensorrtExecutionProvider", {"device_id": 1, "trt_engine_cache_path": "/folder"}),
        ("CUDAExecutionProvider", {"device_id": 1}),
        "CPUExecutionProvider",
    ]


@pytest.mark.parametrize("suffix", [".jit", ".ts"])
def test_a_program_is_refused_where_it_is_not_trusted_or_cannot_run(tmp_path, suffix):
    path = tmp_path / f"net{suffix}"
    path.write_bytes(b"PK\x03\x04")
    match = r"can run code of its own.*trust=True" if TORCH else "MCORE_BACKEND=torch and trust=True"

    with pytest.raises(ModelFileError if TORCH else NotImplementedError, match=match):
        load_model(path)


@pytest.mark.parametrize(
    ("engine", "hidden"),
    [("platform", ("torch",)), ("torch", ("onnx", "onnxruntime"))],
    ids=["platform without torch", "torch without onnx and onnxruntime"],
)
def test_each_engine_loads_saves_and_runs_specs_without_the_packages_of_the_other(tmp_path, engine, hidden):
    said = run(
        f"""
        import json, numpy as np
        from mcore.checkpoint import load_model, load_weights_file, save_model
        from mcore.volumes import SimpleInferenceRunner

        path = {str(tmp_path / "net.json")!r}
        with open(path, "w") as file:
            json.dump({{"@type": "torch.nn.Conv2d", "in_channels": 1, "out_channels": 2, "kernel_size": 3}}, file)
        save_model(load_model(path), path.replace("json", "safetensors"))
        net = load_weights_file(load_model(path), path.replace("json", "safetensors"))
        print(SimpleInferenceRunner(net)(np.ones((1, 1, 5, 5), "float32")).shape)
        """,
        engine=engine,
        without=hidden,
    )

    assert said == "(1, 2, 3, 3)"
