"""Two checkpoints compared: what changed, how much, and what isn't read."""

import math

import ml_dtypes
import numpy as np
import pytest

from mcore.checkpoint import CorruptCheckpoint
from mcore.checkpoint.records import Component
from mcore.checkpoint.shown.diff import _CHUNK, _moved, diff
from mcore.checkpoint.store.base import blob_key
from tests.checkpoint.made import put, record, repository, weights


@pytest.fixture
def repo(tmp_path):
    return repository(tmp_path)


def compared(repo, old, new, **more):
    ids = [put(repo, parts, **more) for parts in (old, new)]
    return diff(*map(repo.record, ids), repo.arrays)


def one_array(repo, old, new):
    """What is told of an array that became another."""
    found = compared(repo, {"": {"w": old}}, {"": {"w": new}})
    return found.moved[0] if found.moved else found


def test_a_changed_tensor_is_told_with_its_relative_and_largest_difference(repo):
    old = np.array([3.0, 4.0], np.float32)

    moved = one_array(repo, old, np.array([3.0, 3.0], np.float32))

    assert (moved.name, moved.shape, moved.differing) == ("w", (2,), 1)
    assert moved.relative == pytest.approx(1 / 5)
    assert moved.largest == 1.0


def test_the_most_changed_tensor_comes_first(repo):
    old, new = weights(), weights()
    new["conv.weight"] = old["conv.weight"] * np.float32(1.01)
    new["conv.bias"] = old["conv.bias"] * np.float32(2)

    found = compared(repo, {"": old}, {"": new})

    assert [one.name for one in found.moved] == ["conv.bias", "conv.weight"]
    assert found.moved[1].relative == pytest.approx(0.01, rel=1e-4)


def test_a_tensor_larger_than_a_piece_is_compared_whole(repo):
    old = np.ones((1 << 20) + 7, np.float32)
    new = old.copy()
    new[[0, (1 << 20) - 1, -1]] = 3.0

    moved = one_array(repo, old, new)

    assert (moved.differing, moved.largest) == (3, 2.0)
    assert moved.relative == pytest.approx(math.sqrt(12 / old.size))


def test_components_with_the_same_file_are_not_read(repo):
    backbone = weights()
    ids = [put(repo, {"backbone": backbone, "head": weights(seed)}) for seed in (1, 2)]
    asked = []

    def arrays_of(component: Component):
        asked.append(component.name)
        return repo.arrays(component)

    found = diff(*map(repo.record, ids), arrays_of)

    assert asked == ["head", "head"]
    assert found.unread == ("backbone",)
    assert [one.name for one in found.moved] == ["head.conv.weight", "head.conv.bias"] or len(found.moved) == 2


def test_tensors_that_are_bit_for_bit_the_same_are_counted(repo):
    new = weights()
    new["conv.bias"] = new["conv.bias"] + 1

    found = compared(repo, {"": weights()}, {"": new})

    assert found.same == 1
    assert [one.name for one in found.moved] == ["conv.bias"]


def test_added_removed_and_reshaped_tensors_are_told_by_name(repo):
    old = weights(gone=np.ones(2, np.float32))
    new = weights(fresh=np.ones(2, np.float32))
    new["conv.bias"] = np.zeros(5, np.float32)
    new["conv.weight"] = old["conv.weight"].astype(np.float16)

    found = compared(repo, {"": old}, {"": new})

    assert (found.added, found.removed, found.moved) == (("fresh",), ("gone",), ())
    assert {one.name: (one.old, one.new) for one in found.reshaped} == {
        "conv.weight": ("4 x 3 x 3 x 3 float32", "4 x 3 x 3 x 3 float16"),
        "conv.bias": ("4 float32", "5 float32"),
    }


def test_a_part_that_only_one_has_is_told_tensor_by_tensor(repo):
    found = compared(repo, {"backbone": weights(), "neck": weights(2)}, {"backbone": weights(), "head": weights(3)})

    assert found.added == ("head.conv.weight", "head.conv.bias")
    assert found.removed == ("neck.conv.weight", "neck.conv.bias")


def test_a_bare_backbone_is_compared_with_an_assemblys(repo):
    new = weights()
    new["conv.bias"] = new["conv.bias"] + 1
    bare = put(repo, {"": weights()}, kind="backbone", task="", network="resnet18", _facts={"role": "backbone"})
    whole = put(repo, {"backbone": new, "head": weights(2)})

    found = diff(repo.record(bare), repo.record(whole), repo.arrays)

    assert [one.name for one in found.moved] == ["backbone.conv.bias"]
    assert found.removed == ()


@pytest.mark.parametrize(
    ("old", "new", "relative", "largest"),
    [
        ([0.0, 0.0], [1.0, 0.0], None, 1.0),
        ([1.0, 1.0], [math.nan, 1.0], None, None),
        ([1.0, 1.0], [math.inf, 1.0], None, None),
        ([0.0, 1.0], [-0.0, 1.0], 0.0, 0.0),
    ],
)
def test_what_has_no_relative_difference_is_told_without_one(repo, old, new, relative, largest):
    moved = one_array(repo, np.array(old, np.float32), np.array(new, np.float32))

    assert (moved.relative, moved.largest) == (relative, largest)


@pytest.mark.parametrize("dtype", [ml_dtypes.bfloat16, np.float16, np.int64, np.bool_, np.uint8])
def test_every_type_is_compared(repo, dtype):
    moved = one_array(repo, np.array([1, 1], dtype), np.array([1, 0], dtype))

    assert (moved.differing, moved.largest) == (1, 1.0)


def test_configuration_metrics_and_tags_are_told_by_path(repo):
    common = {"structure": {"builder": "models", "config": {"head": {"num_classes": 2}, "norm": "batch"}}}
    old = put(repo, **common, metrics=[{"name": "miou", "split": "val", "value": 0.5}], tags={"em": "", "a": "1"})
    common["structure"]["config"]["head"]["num_classes"] = 5
    new = put(repo, **common, metrics=[{"name": "miou", "split": "val", "value": 0.75}], tags={"a": "2"}, batch_size=4)

    found = diff(repo.record(old), repo.record(new), repo.arrays)

    assert {(one.name, one.old, one.new) for one in found.configuration} == {
        ("structure.config.head.num_classes", 2, 5),
        ("batch_size", None, 4),
    }
    assert [(one.name, one.old, one.new) for one in found.metrics] == [("val.miou", 0.5, 0.75)]
    assert {(one.name, one.old, one.new) for one in found.tags} == {("em", "", None), ("a", "1", "2")}
    assert "  a=1 -> a=2\n  only in the old: em" in str(found)


def test_a_checkpoint_and_itself_differ_in_nothing(repo):
    one = repo.record(put(repo))

    found = diff(one, one, repo.arrays)

    assert (found.configuration, found.metrics, found.tags, found.moved) == ((), (), (), ())
    assert found.unread == ("network",)


def test_it_reads_in_a_terminal(repo):
    new = weights()
    new["conv.bias"] = new["conv.bias"] * np.float32(2)
    old = put(repo, metrics=[{"name": "miou", "value": 0.5}])
    other = put(repo, {"": new}, metrics=[{"name": "miou", "value": 0.75}], loss={"name": "dice\x1b[2J"})

    lines = str(diff(repo.record(old), repo.record(other), repo.arrays)).splitlines()

    assert "  miou: 0.5 -> 0.75 (+0.25)" in lines
    assert r"  loss.name: - -> dice\x1b[2J" in lines
    assert any(line.split() == ["conv.bias", "4", "1", *line.split()[3:]] for line in lines)
    assert "  1 tensors are the same" in lines


def test_a_damaged_file_is_an_error_and_no_difference(repo):
    ids = [put(repo, {"": weights(seed)}) for seed in (1, 2)]
    path = repo.store.path / blob_key(repo.record(ids[1]).components[0].blob.sha256)
    path.chmod(0o644)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)

    with pytest.raises(CorruptCheckpoint, match="SHA-256"):
        diff(*map(repo.record, ids), repo.arrays)


def test_components_without_files_compare_as_empty():
    found = diff(record(), record(), lambda component: pytest.fail("read"))

    assert found.unread == ("network",)


@pytest.mark.parametrize("size", [1, 2, _CHUNK + 1])
def test_the_last_number_of_an_entry_is_compared_whatever_its_size(size):
    old = np.zeros(size, np.float32)
    new = old.copy()
    new[-1] = 2.0

    moved = _moved("weight", old, new)

    assert (moved.largest, moved.differing) == (2.0, 1)
