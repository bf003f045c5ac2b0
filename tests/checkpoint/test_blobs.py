"""Weights of a component as a file: what comes back, and what strangers' files are refused for."""

import hashlib
import json
import os
import struct
import subprocess
import sys

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mcore
from mcore.checkpoint.errors import CorruptCheckpoint, LimitExceeded, NotFound
from mcore.checkpoint.records import Blob
from mcore.checkpoint.store import blobs
from mcore.checkpoint.store.opening import open_store
from mcore.exchange import files
from tests.checkpoint.places import damage, some_arrays


def crafted(header, data=b""):
    """The bytes of a file with this header: a mapping, or text."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return memoryview(bytearray(struct.pack("<Q", len(text)) + text + data))


def entry(dtype="F32", shape=(1,), offsets=(0, 4)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


def test_arrays_come_back_in_their_order_writable_and_as_views_of_one_buffer(store):
    arrays = some_arrays()

    back = blobs.read(store, blobs.write(store, arrays), "here")

    assert list(back) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(back[name], array, strict=True)
        assert back[name].flags.writeable
        assert back[name].flags.aligned
    assert len({_root(array) for array in back.values()}) == 1


@pytest.mark.parametrize("dtype", files.DTYPES.values(), ids=str)
def test_every_type_comes_back(tmp_path, dtype):
    store, array = open_store(tmp_path), np.arange(6).reshape(2, 3).astype(dtype)

    back = blobs.read(store, blobs.write(store, {"x": array}), "here")["x"]

    np.testing.assert_array_equal(back, array, strict=True)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((0, 3), np.float32),
        np.array(1.5),
        np.arange(12.0).reshape(3, 4).T,
        np.arange(12.0)[::2],
        np.arange(4, dtype=">i4"),
        np.full(3, np.nan, ml_dtypes.bfloat16),
    ],
    ids=["empty", "no axis", "transposed", "every second", "big-endian", "nan"],
)
def test_arrays_of_any_layout_come_back(tmp_path, array):
    store = open_store(tmp_path)

    back = blobs.read(store, blobs.write(store, {"x": array, "y": np.ones(1)}), "here")["x"]

    np.testing.assert_array_equal(back.astype(float), array.astype(float))
    assert back.shape == array.shape


def test_nothing_is_a_file_too(store):
    assert blobs.read(store, blobs.write(store, {}), "here") == {}


def test_the_file_is_what_mcore_saves_and_safetensors_read(tmp_path):
    from safetensors.numpy import load_file

    store, arrays = open_store(tmp_path / "a"), some_arrays()
    blob = blobs.write(store, arrays)
    (kept,) = store.files("blobs/")
    mcore.save(arrays, tmp_path / "b.safetensors")

    assert (store.path / kept.key).read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    assert blob.size == kept.size
    assert load_file(store.path / kept.key).keys() == arrays.keys()


def test_the_same_arrays_are_stored_once(store):
    assert blobs.write(store, some_arrays()) == blobs.write(store, some_arrays())
    assert len(list(store.files("blobs/"))) == 1


def test_what_is_no_array_is_refused_by_name(tmp_path):
    with pytest.raises(TypeError, match="'x'"):
        blobs.write(open_store(tmp_path), {"x": "text"})
    with pytest.raises(TypeError, match="complex128"):
        blobs.write(open_store(tmp_path), {"x": np.ones(1, complex)})


def test_more_than_is_read_again_is_not_saved(tmp_path, monkeypatch):
    monkeypatch.setattr(blobs, "MOST", 2)

    with pytest.raises(LimitExceeded, match="3 arrays"):
        blobs.write(open_store(tmp_path), some_arrays())


def test_a_message_of_damage_names_the_component_and_both_hashes(store):
    blob = blobs.write(store, some_arrays())
    content = bytearray(store.fetch(blob.sha256, blob.size))
    content[-1] ^= 1
    (kept,) = store.files("blobs/")
    damage(store, kept.key, bytes(content))

    with pytest.raises(
        CorruptCheckpoint, match=f"^01J: backbone: .*{hashlib.sha256(content).hexdigest()}; {blob.sha256} was saved"
    ):
        blobs.read(store, blob, "01J: backbone")


def test_a_flipped_bit_is_noticed_wherever_it_is(tmp_path):
    store = open_store(tmp_path)
    blob = blobs.write(store, some_arrays(size=20))
    (kept,) = store.files("blobs/")
    good, random = store.read(kept.key), np.random.default_rng(0)

    noticed = 0
    for bit in random.choice(len(good) * 8, 200, replace=False):
        bad = bytearray(good)
        bad[bit // 8] ^= 1 << (bit % 8)
        damage(store, kept.key, bytes(bad))
        with pytest.raises(CorruptCheckpoint, match=f"{hashlib.sha256(bad).hexdigest()}; {blob.sha256} was saved"):
            blobs.read(store, blob, "here")
        noticed += 1

    assert noticed == 200


@pytest.mark.parametrize("length", [0, 1, 7, 8, 100, -1])
def test_a_file_that_was_cut_is_noticed_and_the_other_components_load(store, length):
    head, body = blobs.write(store, {"w": np.ones(100)}), blobs.write(store, some_arrays())
    key = next(kept.key for kept in store.files("blobs/") if head.sha256[2:] in kept.key)
    damage(store, key, store.read(key)[:length])

    with pytest.raises(CorruptCheckpoint, match=f"here: .* bytes; {head.size} were saved"):
        blobs.read(store, head, "here")
    assert blobs.read(store, body, "here").keys() == some_arrays().keys()


def test_a_missing_file_is_told_and_the_other_components_load(store):
    head, body = blobs.write(store, {"w": np.ones(100)}), blobs.write(store, some_arrays())
    store.delete(next(kept.key for kept in store.files("blobs/") if head.sha256[2:] in kept.key))

    with pytest.raises(NotFound, match=head.sha256[2:]):
        blobs.read(store, head, "here")
    assert blobs.read(store, body, "here").keys() == some_arrays().keys()


BAD = {
    "nothing": (memoryview(b""), "it has 0 bytes"),
    "a length of 2^63": (memoryview(struct.pack("<Q", 1 << 63) + b"{}"), "its header would have 9223372036854775808"),
    "a header longer than the file": (memoryview(struct.pack("<Q", 100) + b"{}"), "its header would have 100 bytes"),
    "no JSON": (crafted(b"{nonsense}"), "no JSON"),
    "no mapping": (crafted(b"[1]"), "no mapping"),
    "no UTF-8": (crafted(b'{"\xff": 1}'), "no JSON"),
    "half a character": (crafted(b'{"\\ud800": 1}'), "no JSON"),
    "NaN": (crafted(b'{"a": NaN}'), "NaN"),
    "deep": (crafted(b"[" * 200_000), "no JSON"),
    "a name twice": (crafted(b'{"a": 1, "a": 1}'), "a name is there twice"),
    "a key twice": (crafted(b'{"a": {"dtype": "F32", "dtype": "F32"}}'), "a name is there twice"),
    "a pickle": (memoryview(bytearray(b"\x80\x04K\x01.".ljust(20))), "its header would have"),
    "metadata of numbers": (crafted({"__metadata__": {"order": 1}}), "metadata are no texts"),
    "metadata that are a list": (crafted({"__metadata__": []}), "metadata are no texts"),
    "no entry": (crafted({"a": 1}), "isn't described by"),
    "an entry of too little": (crafted({"a": {"dtype": "F32"}}), "isn't described by"),
    "an entry of too much": (crafted({"a": {**entry(), "code": "x"}}, bytes(4)), "isn't described by"),
    "an unknown type": (crafted({"a": entry("F8_E4M3", (4,))}, bytes(4)), "type 'F8_E4M3'"),
    "a type that is a list": (crafted({"a": entry([])}, bytes(4)), r"type \[\]"),
    "a negative size": (crafted({"a": entry(shape=(-1, -1))}, bytes(4)), r"shape \[-1, -1\]"),
    "a size that is true": (crafted({"a": entry(shape=(True,))}, bytes(4)), r"shape \[True\]"),
    "a broken size": (crafted({"a": entry(shape=(1.0,))}, bytes(4)), r"shape \[1.0\]"),
    "a shape that overflows": (crafted({"a": entry(shape=(1 << 32, 1 << 32))}, bytes(4)), "has 4 bytes, which"),
    "a shape that overflows to 4": (crafted({"a": entry(shape=((1 << 61) + 1, 2, 2))}, bytes(4)), "has 4 bytes"),
    "a size of a hundred digits": (crafted({"a": entry(shape=(10**99,))}, bytes(4)), "has the shape"),
    "a thousand axes": (crafted({"a": entry(shape=(1,) * 1000)}, bytes(4)), "has the shape"),
    "an empty giant": (crafted({"a": entry(shape=(0, 1 << 61, 1 << 61), offsets=(0, 0))}), "has the shape"),
    "a place backwards": (crafted({"a": entry(offsets=(4, 0))}, bytes(4)), "has the place"),
    "a place of three": (crafted({"a": entry(offsets=(0, 4, 8))}, bytes(4)), "has the place"),
    "a negative place": (crafted({"a": entry(offsets=(-4, 0))}, bytes(4)), "has the place"),
    "less than its shape": (crafted({"a": entry(shape=(2,))}, bytes(4)), "has 4 bytes, which float32 of shape"),
    "an overlap": (crafted({"a": entry(), "b": entry(offsets=(0, 4))}, bytes(4)), "bytes of another"),
    "a hole": (crafted({"a": entry(), "b": entry(offsets=(8, 12))}, bytes(12)), "a hole"),
    "a hole first": (crafted({"a": entry(offsets=(4, 8))}, bytes(8)), "a hole"),
    "bytes behind": (crafted({"a": entry()}, bytes(8)), "have 4 bytes, of 8"),
    "bytes missing": (crafted({"a": entry()}, bytes(2)), "have 4 bytes, of 2"),
    "a truth of 7": (crafted({"a": entry("BOOL", (4,))}, b"\0\1\7\0"), "neither true nor false"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_crafted_file_is_refused_with_what_is_wrong(name):
    content, told = BAD[name]

    with pytest.raises(CorruptCheckpoint, match=f"no safetensors: .*{told}"):
        blobs.arrays_of(content)


def test_a_crafted_file_is_refused_though_its_hash_is_right(tmp_path):
    store, content = open_store(tmp_path), BAD["an overlap"][0]
    blob = Blob(sha256=store.put([content], len(content)), size=len(content))

    with pytest.raises(CorruptCheckpoint, match=r"here: no safetensors: .*bytes of another"):
        blobs.read(store, blob, "here")


GIANTS = {
    "100 MB of header": "struct.pack('<Q', 100 << 20) + b' ' * (100 << 20)",
    "a million tensors": "head(b'{' + b','.join(b'\"%x\":{}' % n for n in range(1_000_000)) + b'}')",
    "spaced colons": "head(b'{' + b','.join(b'\"%x\" :1' % n for n in range(1_200_000)) + b'}')",
    "a million numbers": "head(b'{\"a\":[' + b','.join([b'1'] * 8_000_000) + b']}')",
    "a million texts of metadata": "head(b'{\"__metadata__\":{'"
    " + b','.join(b'\"%x\":\"\"' % n for n in range(1_200_000)) + b'}}')",
    "a hundred thousand and one tensors": 'head(b\'{\' + b\',\'.join(b\'"%x":{"dtype":"F32","shape":[0],'
    "\"data_offsets\":[0,0]}' % n for n in range(100_001)) + b'}')",
}
REFUSED = """
import re, struct, sys, time
def head(text): return struct.pack('<Q', len(text)) + text
from mcore.checkpoint.store import blobs
content = memoryview(eval(sys.argv[1]))
def peak(): return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024
open("/proc/self/clear_refs", "w").write("5")  # the peak begins anew
before, start = peak(), time.process_time()
try:
    blobs.arrays_of(content)
except ValueError as error:
    print(type(error).__name__, time.process_time() - start, peak() - before)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/clear_refs"), reason="the peak of memory is Linux's to tell")
@pytest.mark.parametrize("name", GIANTS)
def test_a_giant_header_is_refused_at_once_and_in_little_memory(name):
    done = subprocess.run(
        [sys.executable, "-c", REFUSED, GIANTS[name]],
        capture_output=True,
        text=True,
        env={**os.environ, "MCORE_BACKEND": "platform"},
    )

    assert done.returncode == 0, done.stderr
    error, seconds, megabytes = done.stdout.split()
    assert error in ("LimitExceeded", "CorruptCheckpoint")
    assert float(seconds) < 1
    assert float(megabytes) < 200


def test_bytes_that_arent_aligned_are_read_aligned():
    content = crafted(b'{"a":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}}', struct.pack("<d", 2.5))

    back = blobs.arrays_of(content)["a"]

    assert back == [2.5]
    assert back.flags.aligned


def test_without_an_order_of_ours_the_files_own_counts():
    content = crafted({"b": entry(), "a": entry(offsets=(4, 8)), "__metadata__": {"order": "{"}}, bytes(8))

    assert list(blobs.arrays_of(content)) == ["b", "a"]


@given(st.binary(max_size=60), st.integers(0, 400), st.binary(min_size=1, max_size=4))
def test_whatever_the_bytes_are_they_are_read_or_refused(tail, place, change):
    good = bytearray(crafted({"a": entry(), "b": entry("BOOL", (2,), (4, 6))}, bytes(4) + b"\0\1"))
    place %= len(good)
    good[place : place + len(change)] = change
    for content in (bytes(good), tail, struct.pack("<Q", len(tail)) + tail):
        try:
            arrays = blobs.arrays_of(memoryview(bytearray(content)))
        except (CorruptCheckpoint, LimitExceeded):
            continue
        assert sum(array.nbytes for array in arrays.values()) <= len(content)


def test_reading_takes_the_memory_of_the_file_once(tmp_path):
    code = """
import re, sys, numpy as np
from mcore.checkpoint.store import blobs
from mcore.checkpoint.store.opening import open_store
def peak(): return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024
store = open_store(sys.argv[1])
blob = blobs.write(store, {f"w{n}": np.full(1_250_000, n, np.float32) for n in range(8)})
blobs.read(store, blobs.write(store, {"w": np.ones(2_000_000)}), "warm")
open("/proc/self/clear_refs", "w").write("5")
before = peak()
arrays = blobs.read(store, blob, "here")
print(peak() - before)
"""
    if not os.path.exists("/proc/self/clear_refs"):
        pytest.skip("the peak of memory is Linux's to tell")
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path],
        capture_output=True,
        text=True,
        env={**os.environ, "MCORE_BACKEND": "platform"},
    )

    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 40 * 1.25  # MB in the file; a second copy would be 80


def _root(array):
    """The buffer that an array is a view of."""
    while isinstance(array, np.ndarray) and array.base is not None:
        array = array.base
    return id(array.obj if isinstance(array, memoryview) else array)
