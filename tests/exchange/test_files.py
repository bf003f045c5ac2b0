"""Files of weights: safetensors written and read, torch's files read on both engines, nothing run."""

import json
import os
import pickle
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from safetensors.numpy import save as library_save

import mcore
from mcore.exchange import bridge_torch, files, pickles
from mcore.exchange.errors import ModelFileError
from tests.isolation import run

DTYPES = [
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8,
    torch.uint8, torch.bool,
]  # fmt: skip


def state():
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4)).eval()
    out = OrderedDict(net.state_dict())
    for dtype in DTYPES:
        out[f"z.{dtype}"] = torch.arange(6).reshape(2, 3).to(dtype)
    return out | {
        "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 3),
        "apart": torch.arange(12.0).reshape(3, 4).T,
    }


def read(path):
    """As the platform engine reads torch's files."""
    return pickles.read_pickle(Path(path), lambda array: array)


def assert_same_state(got, expected):
    assert list(got) == list(expected)
    for name, tensor in expected.items():
        assert got[name].dtype == tensor.dtype
        assert torch.equal(got[name], tensor)


# --- safetensors


def test_a_state_comes_back_with_order_types_and_values(tmp_path):
    mcore.save(state(), tmp_path / "a.safetensors")

    assert_same_state(mcore.load(tmp_path / "a.safetensors"), state())


def test_the_bytes_are_those_that_the_library_writes(tmp_path):
    arrays = {"b": np.arange(3), "a": np.ones(3, np.float32), "c": np.arange(4).astype(ml_dtypes.bfloat16)}
    files.write_arrays(arrays, tmp_path / "a")

    assert (tmp_path / "a").read_bytes() == library_save(arrays, metadata={"order": json.dumps(list(arrays))})


def test_files_of_other_writers_are_read(tmp_path):
    (tmp_path / "a").write_bytes(library_save({"b": np.arange(3), "a": np.ones(2)}, metadata={"order": "none"}))

    assert mcore.load(tmp_path / "a")["b"].tolist() == [0, 1, 2]
    assert set(load_file(tmp_path / "a")) == {"a", "b"}


def test_an_empty_state_is_written_and_read(tmp_path):
    mcore.save({}, tmp_path / "a.safetensors")

    assert mcore.load(tmp_path / "a.safetensors") == {}


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([1], "expected a mapping"),
        ({1: torch.ones(1)}, "no name for a tensor"),
        ({"a": 3}, "'a': expected a tensor, got int"),
        ({"a": {"b": torch.ones(1)}}, "'a' is a mapping"),
        ({"a": torch.ones(1, dtype=torch.complex64)}, "complex64"),
        ({"a": torch.ones(2).to_sparse()}, "sparse"),
        ({"\ud800": torch.ones(1)}, "UTF-8"),
    ],
)
def test_what_no_file_can_hold_is_refused_by_name(tmp_path, value, words):
    with pytest.raises(TypeError, match=words):
        mcore.save(value, tmp_path / "a.safetensors")
    assert os.listdir(tmp_path) == []


def test_pickles_are_not_written(tmp_path):
    with pytest.raises(ValueError, match=r"name it \.safetensors"):
        mcore.save(state(), tmp_path / "a.pth")


def header(entries, data=b"", length=None):
    text = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


HOSTILE = {
    "empty": b"",
    "short": b"\x08\0\0",
    "garbage": bytes(range(200)),
    "text": b"hello, I am no file of weights at all",
    "header of 2^63 bytes": header({"a": entry()}, b"\0" * 8, length=1 << 63),
    "header longer than the file": header({"a": entry()}, length=10_000),
    "truncated data": header({"a": entry()}, b"\0" * 7),
    "data without an entry": header({"a": entry()}, b"\0" * 9),
    "hole": header({"a": entry(), "b": entry(offsets=(12, 20))}, b"\0" * 20),
    "overlap": header({"a": entry(), "b": entry(offsets=(4, 12))}, b"\0" * 12),
    "duplicate key": header(f'{{"a":{json.dumps(entry())},"a":{json.dumps(entry())}}}'.encode(), b"\0" * 8),
    "unknown dtype": header({"a": entry("F31")}, b"\0" * 8),
    "overflowing shape": header({"a": entry(shape=(1 << 62, 1 << 62))}, b"\0" * 8),
    "negative offset": header({"a": entry(offsets=(-8, 0))}, b"\0" * 8),
    "wrong length": header({"a": entry(shape=(3,))}, b"\0" * 8),
    "json of lists": header(b"{" + b'"a":[' * 50_000),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_damaged_safetensors_are_one_clear_error_that_names_the_file(tmp_path, case):
    (tmp_path / "bad.safetensors").write_bytes(HOSTILE[case])

    with pytest.raises(ModelFileError, match=r"bad\.safetensors"):
        mcore.load(tmp_path / "bad.safetensors")


def test_a_header_of_100_megabytes_is_refused_unread(tmp_path):
    with open(tmp_path / "bad.safetensors", "wb") as file:
        file.write(struct.pack("<Q", 100 << 20) + b"{")
        file.truncate((100 << 20) + 8)

    with pytest.raises(ModelFileError, match="at most"):
        mcore.load(tmp_path / "bad.safetensors")


@pytest.mark.parametrize("suffix", ["safetensors", "pth"])
def test_every_truncation_is_refused(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    mcore.save(state(), path) if suffix == "safetensors" else torch.save(state(), path)
    content = path.read_bytes()

    for end in range(0, len(content), max(len(content) // 40, 1)):
        path.write_bytes(content[:end])
        with pytest.raises(ModelFileError, match=f"a.{suffix}"):
            mcore.load(path)
        with pytest.raises(ModelFileError, match=f"a.{suffix}"):
            read(path) if suffix == "pth" else files.load_arrays(path)


@pytest.mark.parametrize("name", ["a.safetensors", "a.pth"])
def test_a_missing_file_and_a_folder_are_told_as_such(tmp_path, name):
    with pytest.raises(FileNotFoundError, match=f"{name}: there is no such file"):
        mcore.load(tmp_path / name)
    (tmp_path / name).mkdir()
    with pytest.raises(ModelFileError, match="is a folder"):
        mcore.load(tmp_path / name)


def test_a_pipe_is_refused_instead_of_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.pth")

    with pytest.raises(ModelFileError, match="not a regular file"):
        mcore.load(tmp_path / "a.pth")


# --- files of torch.save

BOTH = pytest.mark.parametrize("new", [True, False], ids=["zip", "older"])


def nested(new):
    shared = torch.arange(20.0)
    return {
        "state_dict": state(),
        "epoch": 3,
        "notes": ["a", 1.5, None, True, (1, 2)],
        "views": [shared[2:6], shared[10:], shared.view(4, 5).t(), shared.view(4, 5)[1:, 1:3]],
        "parameter": torch.nn.Parameter(torch.ones(2, 2)),
        "size": torch.Size([1, 2]),
        # Torch itself cannot read this type back from its older format.
        "uint16": torch.tensor([1, 65535], dtype=torch.uint16) if new else None,
    }


def as_plain(value):
    """Tensors and arrays as lists, whatever holds them."""
    if isinstance(value, dict):
        return {key: as_plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_plain(item) for item in value]
    if isinstance(value, torch.Tensor):
        return value.dtype.__repr__().removeprefix("torch."), value.tolist()
    if isinstance(value, np.ndarray):
        listed = value.astype(np.float32) if value.dtype == ml_dtypes.bfloat16 else value
        return str(value.dtype), listed.tolist()
    return value


@BOTH
def test_torch_files_are_read_alike_with_and_without_torch(tmp_path, new):
    torch.save(nested(new), tmp_path / "a.pth", _use_new_zipfile_serialization=new)

    with_torch, without = mcore.load(tmp_path / "a.pth"), read(tmp_path / "a.pth")

    assert as_plain(with_torch) == as_plain(nested(new))
    assert as_plain(without) == as_plain(nested(new))
    assert without["state_dict"]["apart"].flags.c_contiguous


@BOTH
def test_the_platform_reads_torch_files_where_torch_cannot_be_imported(tmp_path, new):
    torch.save({"model": state()}, tmp_path / "a.pth", _use_new_zipfile_serialization=new)
    mcore.save(state(), tmp_path / "a.safetensors")

    printed = run(
        """
        import mcore
        a, b = mcore.load("a.pth")["model"], mcore.load("a.safetensors")
        assert list(a) == list(b)
        for name in a:
            assert a[name].dtype is b[name].dtype and a[name].tolist() == b[name].tolist(), name
        mcore.save(a, "back.safetensors")
        print("same")
        """,
        engine="platform",
        without=["torch"],
        cwd=tmp_path,
    )

    assert printed == "same"
    assert_same_state(mcore.load(tmp_path / "back.safetensors"), state())


def test_the_torch_engine_needs_no_onnx_to_save_and_load(tmp_path):
    printed = run(
        """
        import mcore
        mcore.save(mcore.Linear(2, 3).state_dict(), "a.safetensors")
        print(list(mcore.load("a.safetensors")))
        """,
        engine="torch",
        without=["onnx", "onnxruntime"],
        cwd=tmp_path,
    )

    assert printed == "['weight', 'bias']"


class Payload:
    def __init__(self, marker):
        self.marker = str(marker)

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


def assert_refused(path, marker, words):
    for reader in (mcore.load, read):
        with pytest.raises(ModelFileError, match=words):
            reader(path)
    assert not marker.exists()


def test_a_pickle_is_read_by_what_it_holds_whatever_it_is_called(tmp_path):
    file = tmp_path / "misnamed.safetensors"
    torch.save({"weight": torch.arange(3.0)}, file)

    assert torch.equal(bridge_torch.read_pickle(file)["weight"], torch.arange(3.0))


@BOTH
def test_a_payload_never_runs(tmp_path, new, monkeypatch):
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    torch.save(
        {"a": torch.ones(1), "b": Payload(tmp_path / "ran")},
        tmp_path / "a.pth",
        _use_new_zipfile_serialization=new,
    )

    assert_refused(tmp_path / "a.pth", tmp_path / "ran", r"a\.pth.*system.*only tensors and plain data")


@BOTH
def test_a_whole_module_is_refused_by_the_name_of_its_class(tmp_path, new):
    torch.save(torch.nn.Linear(1, 2), tmp_path / "a.pth", _use_new_zipfile_serialization=new)

    assert_refused(tmp_path / "a.pth", tmp_path / "ran", r"torch\.nn\.modules\.linear\.Linear")


def test_a_bare_pickle_with_a_payload_never_runs(tmp_path):
    (tmp_path / "a.pth").write_bytes(pickle.dumps(Payload(tmp_path / "ran"), protocol=2))

    assert_refused(tmp_path / "a.pth", tmp_path / "ran", r"a\.pth")


def rewritten(tmp_path, content, change):
    """A file of torch.save whose members `change` may edit: a dict of name to bytes."""
    torch.save(content, tmp_path / "good.pth")
    with zipfile.ZipFile(tmp_path / "good.pth") as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    options = change(members) or {}
    with zipfile.ZipFile(tmp_path / "bad.pth", "w", **options) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return tmp_path / "bad.pth"


def with_pickle(program):
    def change(members):
        members["good/data.pkl"] = program

    return change


def rebuild(size, stride, offset=0, count=4, key="0"):
    """A pickle of one tensor with numbers of its own."""

    class Rebuilt:
        def __reduce__(self):
            return torch._utils._rebuild_tensor_v2, (
                _Storage(count, key),
                offset,
                size,
                stride,
                False,
                OrderedDict(),
            )

    class _Storage:
        def __init__(self, count, key):
            self.identity = ("storage", torch.FloatStorage, key, "cpu", count)

    import io

    class Pickler(pickle.Pickler):
        def persistent_id(self, value):
            return value.identity if isinstance(value, _Storage) else None

    out = io.BytesIO()
    Pickler(out, protocol=2).dump(Rebuilt())
    return out.getvalue()


HOSTILE_PICKLES = {
    "beyond the storage": rebuild((100,), (1,)),
    "offset beyond the storage": rebuild((2,), (1,), offset=3),
    "negative stride": rebuild((2,), (-1,), offset=1),
    "negative size": rebuild((-2,), (1,)),
    "ranks that differ": rebuild((2, 2), (1,)),
    "a terabyte by stride 0": rebuild((1 << 38,), (0,)),
    "a storage larger than its bytes": rebuild((4,), (1,), count=1 << 40),
    "a missing storage": rebuild((4,), (1,), key="77"),
    "a storage outside": rebuild((4,), (1,), key="../../etc/passwd"),
    "attributes of a function": b"\x80\x02ctorch._utils\n_rebuild_parameter\n}X\x01\x00\x00\x00aK\x01sb.",
    "attributes of a class": b"\x80\x02ccollections\nOrderedDict\n}X\x01\x00\x00\x00aK\x01sb.",
    "attributes of attributes": b"\x80\x02ctorch._utils\n_rebuild_parameter.__globals__\n.",
    "extension": b"\x80\x02\x82\x01.",
    "inst": b"(S'touch x'\nios\nsystem\n.",
    "eval": b"c__builtin__\neval\n(S'1'\ntR.",
    "getattr": b"\x80\x04\x8c\x08builtins\x8c\x07getattr\x93.",
    "no stop": b"\x80\x02]",
    "stack underflow": b"\x80\x02R.",
    "garbage": bytes(range(256)),
    "deep nesting": b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".",
}


@pytest.mark.parametrize("case", [case for case in HOSTILE_PICKLES if case != "deep nesting"])
def test_a_pickle_made_to_harm_is_one_clear_error(tmp_path, case):
    path = rewritten(tmp_path, torch.arange(4.0), with_pickle(HOSTILE_PICKLES[case]))

    with pytest.raises(ModelFileError, match=r"bad\.pth"):
        read(path)


@pytest.mark.parametrize("program", [HOSTILE_PICKLES["deep nesting"], b"\x80\x02]r\xff\xff\xff\x7f."])
def test_deep_nesting_and_a_memo_of_gigabytes_do_no_harm(tmp_path, program):
    path = rewritten(tmp_path, torch.arange(4.0), with_pickle(program))

    assert isinstance(read(path), list)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: {"compression": zipfile.ZIP_DEFLATED}, "is compressed"),
        (lambda m: m.pop("good/data.pkl") and None, "0 data.pkl"),
        (lambda m: m.update({"other/data.pkl": b"."}), "2 data.pkl"),
        (lambda m: m.update({"good/constants.pkl": b"."}), "scripted module"),
        (lambda m: m.update({"good/data/0": b"\0" * 3}), "should have"),
    ],
)
def test_a_zip_file_that_torch_would_not_write_is_refused(tmp_path, change, words):
    path = rewritten(tmp_path, torch.arange(4.0), change)

    with pytest.raises(ModelFileError, match=words):
        read(path)


def test_a_flipped_bit_in_a_storage_is_found(tmp_path):
    torch.save(torch.arange(1000.0), tmp_path / "a.pth")
    content = bytearray((tmp_path / "a.pth").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "a.pth").write_bytes(content)

    with pytest.raises(ModelFileError, match="CRC"):
        read(tmp_path / "a.pth")


@BOTH
def test_any_changed_byte_is_read_or_refused_but_nothing_else(tmp_path, new):
    torch.save(state(), tmp_path / "a.pth", _use_new_zipfile_serialization=new)
    content = (tmp_path / "a.pth").read_bytes()
    random, outcomes = np.random.default_rng(0), []

    for _ in range(300):
        changed = bytearray(content)
        changed[random.integers(len(changed))] = random.integers(256)
        (tmp_path / "a.pth").write_bytes(changed)
        try:
            outcomes.append(sorted(read(tmp_path / "a.pth")))
        except ModelFileError:
            outcomes.append("refused")

    assert len(outcomes) == 300
    assert "refused" in outcomes


def test_big_endian_files_are_read(tmp_path):
    def swap(members):
        members["good/byteorder"] = b"big"
        members["good/data/0"] = np.arange(4, dtype=">f4").tobytes()

    path = rewritten(tmp_path, torch.arange(4.0), swap)

    assert read(path).tolist() == [0, 1, 2, 3]
    assert torch.load(path).tolist() == [0, 1, 2, 3]


def test_one_tensor_named_often_is_held_once(tmp_path):
    tensor = torch.zeros(1000, 1000)
    torch.save({str(k): tensor for k in range(1000)}, tmp_path / "a.pth")

    found = read(tmp_path / "a.pth")

    assert all(np.shares_memory(found["0"], array) for array in found.values())


def test_a_bomb_of_shared_lists_is_not_unrolled(tmp_path):
    bomb = []
    for _ in range(60):
        bomb = [bomb, bomb]
    torch.save(bomb, tmp_path / "a.pth")

    assert len(read(tmp_path / "a.pth")) == 2
