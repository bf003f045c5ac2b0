"""What a file is, its content decides; tensors by name come out of any file that has them, and nothing runs."""

import gzip
import io
import json
import os
import pickle
import struct
import tarfile
import zipfile
from collections import OrderedDict

import numpy as np
import pytest

import mcore
from mcore import Conv2d
from mcore.checkpoint import load_model, load_weights_file
from mcore.checkpoint.errors import LimitExceeded, UnsafeFormat
from mcore.checkpoint.foreign import state_of
from mcore.checkpoint.sniff import check_weights, sniff
from mcore.exchange.errors import ModelFileError
from mcore.exchange.files import write_arrays

TORCH = mcore.backend() == "torch"
STATE = {"weight": np.arange(6, dtype=np.float32).reshape(2, 3), "steps": np.array(7)}


def onnx_of(state):
    from onnx import TensorProto, helper, numpy_helper

    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "graph",
        [x],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])],
        [numpy_helper.from_array(array, name) for name, array in state.items()],
    )
    opset = helper.make_opsetid("", 18)
    return helper.make_model(graph, opset_imports=[opset], ir_version=9).SerializeToString()


class Reference:
    """Stands for a storage, until the pickler writes it."""

    def __init__(self, identity):
        self.identity = identity


class Answer:
    """A call of a function of torch's, by its name alone."""

    def __init__(self, module, name, *arguments):
        self.called, self.arguments = (module, name), arguments


class TorchPickler(pickle._Pickler):
    """Writes what torch.save writes, where there is no torch."""

    def persistent_id(self, obj):
        return obj.identity if isinstance(obj, Reference) else None

    def save(self, obj, save_persistent_id=True):
        if isinstance(obj, Answer):
            self.write(b"c%s\n%s\n" % tuple(part.encode() for part in obj.called))
            if obj.arguments:
                super().save(obj.arguments)
                self.write(pickle.REDUCE)
        else:
            super().save(obj, save_persistent_id)


def torch_zip(wrap=lambda state: state, members=()):
    """The bytes of a file of torch.save with `STATE`, or what `wrap` makes of it."""
    storages, kinds = {}, {"float32": "FloatStorage", "int64": "LongStorage"}
    state = OrderedDict()
    for key, (name, array) in enumerate(STATE.items()):
        storages[f"archive/data/{key}"] = array.tobytes()
        kind = Answer("torch", kinds[str(array.dtype)])
        strides = tuple(step // array.itemsize for step in array.strides)
        held = Reference(("storage", kind, str(key), "cpu", array.size))
        state[name] = Answer("torch._utils", "_rebuild_tensor_v2", held, 0, array.shape, strides, False, OrderedDict())
    out = io.BytesIO()
    TorchPickler(out, protocol=2).dump(wrap(state))
    return zip_of({"archive/data.pkl": out.getvalue(), **storages, "archive/version": b"3\n", **dict(members)})


def zip_of(members, compression=zipfile.ZIP_STORED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def safetensors_of(folder):
    write_arrays(STATE, folder / "written")
    return (folder / "written").read_bytes()


def numpy_of(save, *arrays, **named):
    out = io.BytesIO()
    save(out, *arrays, **named)
    return out.getvalue()


def tar_of():
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.pth"), io.BytesIO(b""))
    return out.getvalue()


DARKNET = struct.pack("<iiiQ", 0, 2, 5, 32_000) + np.linspace(-1, 1, 50, dtype="<f4").tobytes()
KINDS = {
    "a file of torch.save": lambda _: torch_zip(),
    "safetensors": safetensors_of,
    "an older file of torch.save": lambda _: b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.",
    "TorchScript": lambda _: torch_zip(members={"archive/constants.pkl": b"", "archive/code/__torch__.py": b""}),
    "a program of torch.export": lambda _: zip_of({"a/archive_format": b"pt2", "a/models/model.json": b"{}"}),
    "a package of torch.package": lambda _: zip_of({"a/.data/extern_modules": b"", "a/net.py": b""}),
    "a pickle": lambda _: pickle.dumps({"weight": [1, 2]}),
    "ONNX": lambda _: onnx_of(STATE),
    "Darknet weights": lambda _: DARKNET,
    "arrays of numpy": lambda _: numpy_of(np.savez, **STATE),
    "an array of numpy": lambda _: numpy_of(np.save, STATE["weight"]),
    "JSON": lambda _: b'\n{"@type": "convnet/UNet"}',
    "HDF5": lambda _: b"\x89HDF\r\n\x1a\n" + bytes(100),
    "a zip": lambda _: zip_of({"resnet50.pth": b"", "readme.txt": b""}),
    "a tar": lambda _: tar_of(),
    "gzip": lambda _: gzip.compress(b"a"),
    "a web page": lambda _: b"\n<!DOCTYPE html><html><title>Sign in</title>",
    "a pointer of git LFS": lambda _: b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 100\n",
    "empty": lambda _: b"",
    "of no kind that is known here": lambda _: b"hello " * 100,
}
# A program of torch.export before 2.8, an error page of an object store, a file of torch.save by another pickle.
OTHERS = [
    ("a program of torch.export", zip_of({"serialized_exported_program.json": b"{}", "version": b"5.1"})),
    ("a web page", b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>'),
    ("an older file of torch.save", b"\x80\x04\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."),
    ("of no kind that is known here", bytes(4096)),
    ("of no kind that is known here", DARKNET[:20] + b"\xff" * 40),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["file.pth", "file"])
def test_a_file_is_what_is_in_it_whatever_its_name(tmp_path, kind, name):
    (tmp_path / name).write_bytes(KINDS[kind](tmp_path))

    assert sniff(tmp_path / name).kind == kind


@pytest.mark.parametrize(("kind", "content"), OTHERS)
def test_older_and_rarer_forms_are_known_too(tmp_path, kind, content):
    (tmp_path / "file.pth").write_bytes(content)

    assert sniff(tmp_path / "file.pth").kind == kind


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("safetensors", "ONNX", "arrays of numpy")])
def test_what_has_no_tensors_by_name_is_told_with_advice(tmp_path, kind):
    file = tmp_path / "file.safetensors"
    file.write_bytes(KINDS[kind](tmp_path))
    found = sniff(file)

    if not found.named:
        with pytest.raises(ModelFileError, match=rf"reader: .*file\.safetensors is {kind}: .{{10,}}\.$"):
            check_weights(file, "reader")


def test_a_folder_and_a_pipe_and_nothing_are_told(tmp_path):
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(ModelFileError, match="is a folder, not a file of weights"):
        sniff(tmp_path)
    with pytest.raises(ModelFileError, match="is no regular file, not a file of weights"):
        sniff(tmp_path / "pipe")
    with pytest.raises(FileNotFoundError, match=r"none\.pth: there is no such file"):
        sniff(tmp_path / "none.pth")


# --- tensors by name


@pytest.mark.parametrize("kind", ["safetensors", "a file of torch.save", "ONNX", "arrays of numpy"])
def test_tensors_come_out_of_any_file_that_names_them(tmp_path, kind):
    (tmp_path / "file.weights").write_bytes(KINDS[kind](tmp_path))

    found = state_of(tmp_path / "file.weights")

    assert sorted(found) == sorted(STATE)
    for name, array in STATE.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {"model": {"model_state_dict": state}, "optimizer": {}},
        lambda state: {**state, "epoch": 3, "classes": ["a"]},
    ],
)
def test_what_training_programs_wrap_around_is_taken_off(tmp_path, wrap):
    (tmp_path / "last.ckpt").write_bytes(torch_zip(wrap))

    assert sorted(state_of(tmp_path / "last.ckpt")) == sorted(STATE)


@pytest.mark.skipif(not TORCH, reason="torch.save is torch's")
@pytest.mark.parametrize("zipped", [True, False])
def test_both_formats_of_torch_are_read_as_torch_wrote_them(tmp_path, zipped):
    import torch

    state = {"a": torch.randn(3, 4).t(), "b": torch.ones(2, dtype=torch.bfloat16), "n": torch.tensor(3)}
    torch.save(state, tmp_path / "a.pth", _use_new_zipfile_serialization=zipped)

    found = state_of(tmp_path / "a.pth")

    np.testing.assert_array_equal(found["a"], state["a"].numpy())
    assert (str(found["b"].dtype), int(found["n"])) == ("bfloat16", 3)


def test_a_file_without_a_tensor_is_told(tmp_path):
    (tmp_path / "a.pth").write_bytes(torch_zip(lambda state: {"epoch": 3}))
    (tmp_path / "b.pth").write_bytes(torch_zip(lambda state: [1, 2]))

    with pytest.raises(ModelFileError, match=r"a\.pth is a file of torch\.save, but has no tensors by name"):
        state_of(tmp_path / "a.pth")
    with pytest.raises(ModelFileError, match=r"b\.pth holds a list, no tensors by name"):
        state_of(tmp_path / "b.pth")


@pytest.mark.parametrize("kind", ["safetensors", "a file of torch.save", "ONNX", "arrays of numpy"])
@pytest.mark.parametrize("left", [0.3, 0.9])
def test_a_truncated_file_is_one_clear_error(tmp_path, kind, left):
    whole = KINDS[kind](tmp_path)
    (tmp_path / "file.pth").write_bytes(whole[: int(len(whole) * left)])

    with pytest.raises(ModelFileError, match=r"file\.pth"):
        state_of(tmp_path / "file.pth")


# --- nothing runs


class Payload:
    def __init__(self, marker):
        self.marker = str(marker)

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


def bombs(marker):
    """Pickles that would make the file `marker`, in every form in which one may come."""
    payload = pickle.dumps(Payload(marker), protocol=2)
    objects = io.BytesIO()
    np.save(objects, np.array([Payload(marker)], dtype=object), allow_pickle=True)
    magic = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03."
    return {
        "bare": payload,
        "protocol 0": pickle.dumps(Payload(marker), protocol=0),
        "protocol 5": pickle.dumps(Payload(marker), protocol=5),
        "torch's zip": torch_zip(lambda state: {**state, "x": Payload(marker)}),
        "in place of the pickle": zip_of({"archive/data.pkl": payload, "archive/version": b"3\n"}),
        "torch's older format": magic + payload,
        "torch.export": zip_of({"a/archive_format": b"pt2", "a/data/sample_inputs/model.pt": payload}),
        "TorchScript": zip_of({"a/data.pkl": payload, "a/constants.pkl": payload}),
        "an array of objects": objects.getvalue(),
        "arrays of objects": zip_of({"a.npy": objects.getvalue()}),
    }


@pytest.mark.parametrize("form", bombs("x"))
@pytest.mark.parametrize("name", ["a.pth", "a.pt", "a.safetensors", "a.bin"])
@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_a_pickle_with_a_payload_never_runs(tmp_path, form, name):
    file = tmp_path / name
    file.write_bytes(bombs(tmp_path / "ran")[form])

    readers = [state_of, lambda path: load_weights_file(Conv2d(1, 1, 1), path)]
    # Torch's reader goes by this ending, and has an error of its own for what it finds.
    for read in readers if name == "a.safetensors" else [*readers, mcore.load]:
        with pytest.raises(ModelFileError, match=rf"{name}"):
            read(file)

    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("kind", ["TorchScript", "a program of torch.export"])
@pytest.mark.parametrize("name", ["a.pth", "a.pt", "a.pt2", "a.jit", "a.safetensors"])
def test_a_program_is_refused_by_its_content(tmp_path, kind, name):
    (tmp_path / name).write_bytes(KINDS[kind](tmp_path))

    with pytest.raises(UnsafeFormat, match=rf"state_of: .*{name} is {kind}: it can run code of its own.*trust=True"):
        state_of(tmp_path / name)
    with pytest.raises(UnsafeFormat, match="it can run code of its own"):
        load_weights_file(Conv2d(1, 1, 1), tmp_path / name)


@pytest.mark.parametrize("name", ["a.pth", "a.pt", "a.pt2", "a.jit", "a.bin"])
def test_a_model_that_is_a_program_is_refused_by_its_content(tmp_path, name):
    (tmp_path / name).write_bytes(KINDS["TorchScript"](tmp_path))
    refusal = (UnsafeFormat, "can run code of its own.*trust=True") if TORCH else (NotImplementedError, "MCORE_BACKEND")

    with pytest.raises(refusal[0], match=refusal[1]):
        load_model(tmp_path / name)


@pytest.mark.skipif(not TORCH, reason="programs of torch run on the torch engine alone")
@pytest.mark.parametrize("name", ["net.pth", "net.pt", "net.pt2"])
def test_a_trusted_program_gives_its_state_and_itself_under_any_name(tmp_path, name):
    import torch

    net, x = torch.nn.Conv2d(1, 2, 3), torch.randn(1, 1, 5, 5)
    if name == "net.pt2":
        torch.export.save(torch.export.export(net, (x,)), tmp_path / name)
    else:
        torch.jit.trace(net, x).save(str(tmp_path / name))

    np.testing.assert_array_equal(state_of(tmp_path / name, trust=True)["weight"], net.weight.detach().numpy())
    torch.testing.assert_close(load_model(tmp_path / name, trust=True)(x), net(x))


@pytest.mark.skipif(TORCH, reason="programs of torch run there")
def test_a_trusted_program_needs_the_torch_engine(tmp_path):
    (tmp_path / "a.jit").write_bytes(KINDS["TorchScript"](tmp_path))

    with pytest.raises(NotImplementedError, match="MCORE_BACKEND=torch"):
        state_of(tmp_path / "a.jit", trust=True)


# --- arrays of numpy made to harm


def header(shape, dtype="<f4"):
    text = repr({"descr": dtype, "fortran_order": False, "shape": shape}).encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text) + 1) + text + b"\n"


@pytest.mark.parametrize(
    ("members", "match"),
    [
        ({"a.npy": header((1 << 40,))}, r"'a\.npy' of shape \(1099511627776,\) has \d+ bytes"),
        ({"a.npy": header((-4,)) + bytes(64)}, "damaged, or not written by numpy"),
        ({"a.npy": b"\x93NUMPY\x09\x00" + bytes(64)}, r"has version \(9, 0\) of numpy's format"),
        ({"a.npy": b"nothing"}, "damaged, or not written by numpy"),
        ({"a.npy": header((1,), "os.system") + bytes(8)}, "damaged, or not written by numpy"),
        ({"a.npy": header((1,), "|O") + pickle.dumps([1])}, "holds objects, which are a pickle"),
    ],
)
def test_arrays_made_to_harm_are_one_clear_error(tmp_path, members, match):
    (tmp_path / "a.npz").write_bytes(zip_of(members))

    with pytest.raises(ModelFileError, match=match):
        state_of(tmp_path / "a.npz")


def test_a_zip_bomb_of_arrays_is_refused_before_it_is_unpacked(tmp_path):
    with (
        zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a.npy", "w", force_zip64=True) as member,
    ):
        for _ in range(300):
            member.write(bytes(1 << 20))

    with pytest.raises(LimitExceeded, match=r"1 arrays of 314572800 bytes in a file of \d+"):
        state_of(tmp_path / "a.npz")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_arrays_of_one_name_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("a.npy", header((1,)) + bytes(4))
        archive.writestr("a.npy", header((1,)) + bytes(4))

    with pytest.raises(ModelFileError, match="two arrays in it have the same name"):
        state_of(tmp_path / "a.npz")


# --- what reads weights says so


@pytest.mark.parametrize("kind", ["a web page", "a pointer of git LFS", "empty", "gzip", "Darknet weights"])
def test_loading_weights_tells_what_came_instead(tmp_path, kind):
    (tmp_path / "net.pth").write_bytes(KINDS[kind](tmp_path))

    with pytest.raises(ModelFileError, match=rf"load_weights_file: .*net\.pth is {kind}: "):
        load_weights_file(Conv2d(1, 1, 1), tmp_path / "net.pth")


@pytest.mark.parametrize("write", [onnx_of, lambda state: numpy_of(np.savez, **state)])
def test_weights_are_loaded_from_onnx_and_numpy_too(tmp_path, write):
    net = Conv2d(1, 2, 3)
    state = {name: np.full(tuple(value.shape), 3, np.float32) for name, value in net.state_dict().items()}
    (tmp_path / "net.bin").write_bytes(write(state))

    load_weights_file(net, tmp_path / "net.bin")

    assert all((value == 3).all() for value in net.state_dict().values())


def test_a_file_of_torch_is_read_under_the_name_of_safetensors(tmp_path):
    net = Conv2d(3, 2, 1, bias=False)
    (tmp_path / "net.safetensors").write_bytes(torch_zip(lambda state: {"weight": state["weight"]}))

    with pytest.raises(RuntimeError, match=r"\[2, 3\]"):
        load_weights_file(net, tmp_path / "net.safetensors")


def test_a_spec_stays_a_spec(tmp_path):
    (tmp_path / "net.json").write_text(json.dumps({"@type": "torch.nn.Conv2d", "in_channels": 1, "out_channels": 1}))

    assert sniff(tmp_path / "net.json").kind == "JSON"
