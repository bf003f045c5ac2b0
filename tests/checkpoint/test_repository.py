"""A repository of checkpoints: saved whole or not at all, found by what people write, never half deleted."""

import json
import os
import signal
import sys
import time

import numpy as np
import pytest

import mcore
import models
from mcore.checkpoint import NotFound, Repository, SchemaError, ids, keeping, records
from mcore.checkpoint.store.base import blob_key, record_key
from tests.checkpoint.places import damage
from tests.isolation import ROOT, interpret, started

DAY = 86_400.0


def lenet(classes=10):
    return models.create("LeNet", in_channels=1, num_classes=classes)


def numbers(net):
    return {name: np.array(value.detach().numpy()) for name, value in net.state_dict().items()}


def same(one, other):
    assert one.keys() == other.keys()
    return all((one[name] == other[name]).all() for name in one)


@pytest.fixture
def repo(tmp_path):
    return Repository(tmp_path / "checkpoints", author="ann")


# --- saving and loading


def test_a_network_comes_back_with_its_weights_and_all_that_was_told(repo):
    net = lenet().eval()

    id = repo.save(
        net, task="classification", metrics={"val": {"acc": 0.9}, "loss": 0.3}, tags=["em", "domain=brain"],
        dataset="mnist", loss="CrossEntropyLoss", batch_size=8, precision="fp32", resolutions=(32, 32), notes="first",
    )  # fmt: skip

    again, record = repo.load(id), repo.record(id)
    assert same(numbers(again), numbers(net))
    assert not again.training
    assert record.values == {"val.acc": 0.9, "loss": 0.3}
    assert (record.tags, record.notes, record.author) == ({"em": "", "domain": "brain"}, "first", "ann")
    assert (record.dataset[0].name, record.loss, record.resolutions) == (
        "mnist",
        {"name": "CrossEntropyLoss"},
        ((32, 32),),
    )
    assert (record.address, record.version, record.precision) == ("networks/classification/LeNet", 1, "fp32")


def test_every_kind_of_store_does_the_same(store):
    repo = Repository.of_store(store)
    net = lenet()

    first, second = repo.save(net, task="any"), repo.save(lenet(), task="any")
    repo.tag(first, "em")
    repo.alias(first, "best")
    repo.delete(second)

    assert repo.ids() == [first]
    assert repo.resolve("networks/any/LeNet@best") == repo.resolve("networks/any/LeNet") == first
    assert repo.record(first).tags == {"em": ""}
    assert same(numbers(repo.load(first)), numbers(net))
    assert repo.verify() == []
    assert len(repo.gc(grace=0)) == 2
    assert repo.ids(deleted=True) == [first]


def test_weights_that_are_the_same_are_kept_once(repo):
    net = lenet()

    repo.save(net, task="classification")
    repo.save(net, task="classification", metrics={"acc": 0.5})

    assert len([*repo.store.files("blobs/")]) == 1
    assert [record.version for record in repo.records()] == [1, 2]


def test_a_backbone_that_two_networks_share_is_kept_once(repo):
    backbone = models.create("resnet18", in_channels=1)
    backbone.load_state_dict(backbone.state_dict())
    two = [
        models.assemble(backbone, head={"type": "Segmentation", "num_classes": 2}),
        models.assemble(backbone, head={"type": "Classification", "num_classes": 5}),
    ]

    for net, task in zip(two, ("segmentation", "classification"), strict=True):
        repo.save(net, task=task)

    blobs = {record.component("backbone").blob for record in repo.records()}
    assert len(blobs) == 1
    assert len([*repo.store.files("blobs/")]) == 3


def test_what_does_not_fit_is_told_whole_and_nothing_is_written(repo):
    with pytest.raises(SchemaError, match=r"precision.*batch_size|batch_size.*precision"):
        repo.save(lenet(), task="any", precision="fp31", batch_size=-1)

    assert [*repo.store.files("blobs/"), *repo.store.files("records/"), *repo.store.files("versions/")] == []


def test_a_network_without_a_task_is_asked_for_one(repo):
    with pytest.raises(SchemaError, match="a network has a task"):
        repo.save(mcore.Sequential(mcore.Linear(2, 2)), network="two")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), np.float32("nan")])
def test_a_metric_that_is_no_number_is_left_out_with_a_warning(repo, value):
    with pytest.warns(UserWarning, match="the metric 'miou' is (nan|inf); it is left out"):
        id = repo.save(lenet(), task="any", metrics={"miou": value, "acc": 0.5})

    assert repo.record(id).values == {"acc": 0.5}


def test_weights_that_are_not_finite_are_marked(repo):
    net = lenet()
    state = net.state_dict()
    name = next(iter(state))
    broken = np.array(state[name].detach().numpy())
    broken.flat[0] = np.nan
    net.load_state_dict({**state, name: mcore.from_numpy(broken)})

    assert repo.record(repo.save(net, task="any")).has_nan


def test_a_network_that_is_in_no_registry_is_loaded_into_one_that_stands(repo):
    class Own(mcore.Module):
        def __init__(self):
            super().__init__()
            self.layer = mcore.Linear(3, 2)

        def forward(self, x):
            return self.layer(x)

    net, other = Own(), Own()
    id = repo.save(net, task="any")

    other.load_from(repo, id)

    assert same(numbers(other), numbers(net))
    with pytest.raises(SchemaError, match="load_from"):
        repo.load(id)


def test_ids_go_on_where_a_clock_jumps_back(repo, monkeypatch):
    first = repo.save(lenet(), task="any")
    behind = time.time_ns() - 3_600_000_000_000
    monkeypatch.setattr(ids.time, "time_ns", lambda: behind)

    second = Repository(repo.store.url).save(lenet(), task="any")

    assert repo.ids() == [first, second]
    assert repo.resolve("networks/any/LeNet") == second


# --- what people write


def test_a_checkpoint_is_found_by_id_beginning_address_version_and_alias(repo):
    first, second = (repo.save(lenet(), task="seg") for _ in range(2))
    repo.alias(first, "best")

    assert repo.resolve(first[:25]) == first
    assert repo.resolve("networks/seg/LeNet@1") == repo.resolve("networks/seg/LeNet@best") == first
    assert repo.resolve("networks/seg/LeNet") == repo.resolve("networks/seg/LeNet@latest") == second
    repo.alias(second, "best")
    assert repo.resolve("networks/seg/LeNet@best") == second


@pytest.mark.parametrize(
    ("ref", "said"),
    [
        ("networks/seg/LeNett", "there is no 'networks/seg/LeNett'; the nearest there are networks/seg/LeNet"),
        ("networks/seg/LeNet@7", "has no '7'; it has versions 1"),
        ("networks/seg/LeNet@bset", "has no 'bset'; it has versions 1 and aliases best"),
        ("01J", "is no checkpoint: an id or its first 8 characters"),
        ("../../etc/passwd", "there is no|is no key"),
        ("00000000", "no checkpoint begins with 00000000"),
        ("7ZZZZZZZZZ0000000000000000", "there is no checkpoint 7ZZZ"),
    ],
)
def test_what_means_no_checkpoint_is_told_with_what_there_is(repo, ref, said):
    repo.alias(repo.save(lenet(), task="seg"), "best")

    with pytest.raises((NotFound, ValueError), match=said):
        repo.resolve(ref)


def test_an_alias_cannot_be_a_number_or_the_word_latest(repo):
    id = repo.save(lenet(), task="any")

    for name in ("3", "latest"):
        with pytest.raises(SchemaError, match="means a version already"):
            repo.alias(id, name)


def test_tags_and_notes_are_added_and_taken_away_later(repo):
    id = repo.save(lenet(), task="any", tags="em", notes="one")

    repo.tag(id, "domain", "brain")
    repo.untag(id, "em")
    repo.note(id, "two")

    record = repo.record(id)
    assert record.tags == {"domain": "brain"}
    assert record.notes == "one\ntwo"
    with pytest.raises(NotFound, match="has no tag 'em'; it has domain"):
        repo.untag(id, "em")


# --- deleting and collecting


def test_what_is_deleted_comes_back_until_it_is_collected(repo):
    net = lenet()
    id = repo.save(net, task="any")

    repo.delete(id)
    with pytest.raises(NotFound, match=r"was deleted at .*restore\("):
        repo.load(id)
    repo.gc()
    repo.restore(id)

    assert same(numbers(repo.load(id)), numbers(net))


def test_collecting_frees_what_deleted_checkpoints_alone_need(repo):
    backbone = models.create("resnet18", in_channels=1)
    heads = [{"type": "Segmentation", "num_classes": 2}, {"type": "Classification", "num_classes": 5}]
    first, second = (repo.save(models.assemble(backbone, head=head), task="any") for head in heads)
    repo.delete(first)

    told = repo.gc(grace=0, dry_run=True)
    gone = repo.gc(grace=0)

    assert sorted(told) == sorted(gone)
    assert record_key(first) in gone
    assert len([key for key in gone if key.startswith("blobs/")]) == 1
    assert repo.verify() == []
    repo.load(second)


def test_what_is_young_is_not_collected(repo):
    repo.store.put([b"a blob that a save is about to name"], 35)

    assert repo.gc(dry_run=True) == repo.gc() == []
    assert len(repo.gc(grace=0)) == 1


def test_a_blob_that_was_collected_while_a_save_found_it_there_is_put_again(repo, monkeypatch):
    net = lenet()
    old = repo.save(net, task="any")
    repo.delete(old)
    claim = repo.addresses.claim

    def claim_while_another_collects(address, id):
        for kept in [*repo.store.files("blobs/")]:
            repo.store.delete(kept.key)
        return claim(address, id)

    monkeypatch.setattr(repo.addresses, "claim", claim_while_another_collects)

    assert same(numbers(repo.load(repo.save(net, task="any"))), numbers(net))


def test_while_a_record_is_damaged_nothing_is_freed(repo):
    id = repo.save(lenet(), task="any")
    damage(repo.store, record_key(id), b"{")

    with pytest.raises(SchemaError, match="Nobody knows which blobs it names, so none are freed"):
        repo.gc(grace=0)

    assert len([*repo.store.files("blobs/")]) == 1


# --- damage and malice


def test_verify_names_component_and_what_is_wrong_with_it(repo):
    id = repo.save(lenet(), task="any")
    blob = repo.record(id).components[0].blob
    content = bytearray(repo.store.fetch(blob.sha256, blob.size))
    content[-1] ^= 1
    damage(repo.store, blob_key(blob.sha256), bytes(content))

    found = repo.verify()

    assert len(found) == 1
    assert id in found[0]
    assert blob.sha256[:8] in found[0]


@pytest.mark.parametrize(
    ("builder", "config"),
    [
        ("os.system", {"command": "touch marker"}),
        ("models", {"mcore": 1, "model": {"_target_": "os.system"}}),
        ("models", {"mcore": 1, "model": {"type": "os.system"}}),
        ("models", {"mcore": 1, "model": {"type": "LeNet", "in_channels": 1, "weights": "/etc/passwd"}}),
        ("subprocess", {"_instantiator": "run", "__class__": "Popen"}),
    ],
)
def test_a_record_that_names_code_builds_nothing_and_imports_nothing(repo, builder, config):
    id = repo.save(lenet(), task="any")
    data = json.loads(repo.store.read(record_key(id)))
    data["structure"] |= {"builder": builder, "config": config}
    damage(repo.store, record_key(id), json.dumps(data).encode())
    before = set(sys.modules)

    with pytest.raises(SchemaError):
        repo.load(id)

    assert not {name for name in set(sys.modules) - before if not name.startswith(("mcore", "models", "importlib"))}


def test_a_record_of_another_checkpoint_in_the_place_of_one_is_noticed(repo):
    first, second = (repo.save(lenet(), task="any") for _ in range(2))
    damage(repo.store, record_key(second), repo.store.read(record_key(first)))

    with pytest.raises(SchemaError, match=f"it says that it is {first}"):
        repo.record(second)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"format": 99, "id": "x"}', "a repository of format 99; this mcore reads 1"),
        (b"not json", "isn't that of a checkpoint repository"),
        (b'{"format": 1, "id": "../.."}', "has no id of a repository"),
    ],
)
def test_a_folder_that_is_no_repository_is_refused(tmp_path, content, said):
    (tmp_path / "format.json").write_bytes(content)

    with pytest.raises(SchemaError, match=said):
        Repository(tmp_path)


def test_a_repository_that_is_not_there_is_not_made_where_that_is_not_wanted(tmp_path):
    with pytest.raises(NotFound):
        Repository(tmp_path / "nowhere", create=False)

    assert not (tmp_path / "nowhere").exists()


# --- several processes, and those that are killed

SAVING = """
import sys
import models
from mcore.checkpoint import Repository

repo = Repository(sys.argv[1])
net = models.create("LeNet", in_channels=1, num_classes=int(sys.argv[2]))
print("ready", flush=True)
for number in range(int(sys.argv[3])):
    print(repo.save(net, task="any", tags=[f"of{sys.argv[2]}", f"number={number}"]), flush=True)
"""


def saving(folder, classes, times):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MCORE_BACKEND": "platform"}
    return started([sys.executable, "-c", SAVING, str(folder), str(classes), str(times)], environment)


def test_several_writers_of_one_network_lose_nothing_and_share_no_version(tmp_path):
    writers = [saving(tmp_path / "r", classes, 12) for classes in (2, 3, 4)]

    said = [writer.communicate(timeout=200)[0].split()[1:] for writer in writers]

    repo = Repository(tmp_path / "r")
    found = {record.id: record for record in repo.records()}
    assert {id for ids_ in said for id in ids_} == set(found)
    assert len({record.version for record in found.values()}) == len(found) == 36
    assert all(len(record.tags) == 2 for record in found.values())
    assert repo.verify() == []


@pytest.mark.parametrize("delay", [0.0, 0.02, 0.05, 0.1, 0.2])
def test_a_writer_that_is_killed_leaves_whole_checkpoints_and_nothing_else(tmp_path, delay):
    writer = saving(tmp_path / "r", 3, 10_000)
    assert writer.stdout.readline().split() == ["ready"]
    time.sleep(delay)
    writer.send_signal(signal.SIGKILL)
    said = writer.communicate()[0].split()

    repo = Repository(tmp_path / "r")

    # The last one may have been saved without being told.
    assert repo.verify() == []
    assert set(said) <= set(repo.ids())
    assert len(repo.ids()) <= len(said) + 1
    repo.gc(grace=0)
    assert [repo.load(id) for id in repo.ids()[-1:]] or not said


def test_saving_and_loading_need_no_extra(tmp_path):
    found = interpret(
        f"""
        import models
        from mcore.checkpoint import Repository

        repo = Repository({str(tmp_path / "r")!r})
        id = repo.save(models.create("LeNet", in_channels=1, num_classes=2), task="any")
        repo.tag(id, "em")
        repo.alias(id, "best")
        repo.load("networks/any/LeNet@best")
        repo.delete(id)
        repo.gc(grace=0)
        try:
            repo.search('task = "any"')
        except ImportError as error:
            print(error)
        """,
        engine="platform",
        without=["torch", "sqlalchemy", "lark", "jinja2", "filelock", "tqdm", "obstore", "psycopg"],
    )

    assert found.returncode == 0, found.stderr
    assert "[checkpoints]" in found.stdout


def test_a_checkpoint_of_one_engine_is_loaded_on_the_other(repo, tmp_path):
    net = lenet().eval()
    x = np.linspace(-1, 1, 32 * 32, dtype=np.float32).reshape(1, 1, 32, 32)
    id = repo.save(net, task="any")
    other = {"torch": "platform", "platform": "torch"}[mcore.backend()]

    found = interpret(
        f"""
        import numpy as np
        import mcore
        from mcore.checkpoint import Repository

        net = Repository({repo.store.url!r}).load({id!r})
        x = mcore.from_numpy(np.linspace(-1, 1, 32 * 32, dtype=np.float32).reshape(1, 1, 32, 32))
        np.save({str(tmp_path / "y.npy")!r}, net(x).detach().numpy())
        """,
        engine=other,
    )

    assert found.returncode == 0, found.stderr
    np.testing.assert_allclose(
        np.load(tmp_path / "y.npy"), net(mcore.from_numpy(x)).detach().numpy(), rtol=1e-5, atol=1e-5
    )


def test_events_of_a_checkpoint_are_kept_in_their_order(repo):
    id = repo.save(lenet(), task="any")
    for number in range(20):
        repo.tag(id, "count", str(number))

    assert repo.record(id).tags == {"count": "19"}
    assert [event.value for event in repo.history.of(id)] == [str(number) for number in range(20)]
    assert records.read(repo.store.read(next(repo.store.files("events/")).key), records.Event, "it").do == "tag"


def test_a_grace_time_below_nothing_is_refused(repo):
    with pytest.raises(ValueError, match="grace is a number of seconds, got -1"):
        keeping.collect(repo, grace=-1.0)
