"""The index: right whatever became of it, of the store, and of the others that use it."""

import os
import random
import shutil
import subprocess
import sys
import time

import pytest

from mcore.checkpoint.errors import QueryError
from mcore.checkpoint.search import files as index_files
from mcore.checkpoint.search import query
from mcore.checkpoint.search.index import Index
from mcore.exchange.errors import StorageError
from tests.checkpoint import asking, made

QUESTION = 'task = "segmentation" and component.parameters > 5 or "em" in tags'
COUNT = 40


@pytest.fixture
def store(tmp_path):
    """A store of some checkpoints."""
    kept = asking.store(tmp_path / "repository")
    for number in range(COUNT):
        asking.keep_record(kept, asking.record(number))
    return kept


@pytest.fixture
def opened(tmp_path, store):
    """Opens the index as a new process would."""

    def make():
        return Index(f"sqlite:///{tmp_path / 'cache' / 'index'}", store, asking.IDENTITY)

    return make


def ask(index, question=QUESTION):
    index.update()
    return index.search(query.parse(question))


def right(records, question=QUESTION):
    node = query.parse(question)
    return [one.id for one in sorted(records, key=lambda one: one.id, reverse=True) if asking.answer(node, one)]


def records(count=COUNT):
    return [asking.record(number) for number in range(count)]


def files(tmp_path):
    return sorted((tmp_path / "cache").glob("*.sqlite"))


# --- catching up


def test_checkpoints_that_came_since_are_found(store, opened):
    index = opened()
    ask(index)
    asking.keep_record(store, asking.record(COUNT))

    assert ask(index) == right(records(COUNT + 1))


def test_a_checkpoint_with_an_older_id_is_found_however_late_it_comes(store, opened):
    index = opened()
    index.update()
    old = asking.keep_record(store, asking.record(-5))

    index.update()

    assert index.search()[-1] == old.id


def test_folders_that_did_not_change_are_not_listed_again(store, opened, monkeypatch):
    for folder in (store.path / "records").iterdir():
        os.utime(folder, (1, time.time() - 60))
    index = opened()
    index.update()
    monkeypatch.setattr(store, "files", lambda *_, **__: pytest.fail("listed"))

    assert index.update() == []


def test_a_folder_that_changed_since_it_was_relied_on_is_listed(store, opened):
    for folder in (store.path / "records").iterdir():
        os.utime(folder, (1, time.time() - 60))
    index = opened()
    index.update()
    asking.keep_record(store, asking.record(COUNT))

    assert ask(index) == right(records(COUNT + 1))


def test_a_folder_that_changes_twice_within_a_tick_of_its_clock_is_listed_twice(store, opened, monkeypatch):
    # A tick as long as any machine takes to get here.
    monkeypatch.setattr(index_files, "TICK", 3600)
    index = opened()
    index.update()
    [folder] = (store.path / "records").iterdir()
    status = folder.stat()
    asking.keep_record(store, asking.record(COUNT))
    os.utime(folder, ns=(status.st_atime_ns, status.st_mtime_ns))

    assert ask(index) == right(records(COUNT + 1))


def test_what_is_removed_from_the_store_is_not_found_any_more(store, opened):
    index = opened()
    index.update()
    gone = index.search()[0]
    next((store.path / "records").rglob(f"{gone}.json")).unlink()

    index.update()

    assert gone not in index.search()
    assert len(index.search()) == COUNT - 1


def test_updating_twice_changes_nothing(store, opened, tmp_path):
    index = opened()
    index.update()
    before = files(tmp_path)[0].read_bytes()

    index.update(full=True)

    assert files(tmp_path)[0].read_bytes() == before


def test_a_record_that_cannot_be_read_is_told_and_the_others_are_found(store, opened):
    bad = asking.record(7)
    asking.keep(store, asking.record_key(bad.id), b'{"format": 1')

    index = opened()
    [note] = index.update()

    assert bad.id in note
    assert "not the JSON of a record" in note
    assert ask(index) == right([one for one in records() if one.id != bad.id])


def test_a_record_that_can_be_read_again_is_found(store, opened):
    bad = asking.record(7)
    asking.keep(store, asking.record_key(bad.id), b"")
    index = opened()
    index.update()
    asking.keep_record(store, bad)

    assert index.update() == []
    assert ask(index) == right(records())


def test_a_record_in_the_place_of_another_is_not_believed(store, opened):
    asking.keep(store, asking.record_key(asking.record(7).id), asking.records.written(asking.record(8)))

    [note] = opened().update()

    assert f"it says that it is {asking.record(8).id}" in note


def test_names_that_are_no_records_are_left_alone(store, opened):
    shard = next((store.path / "records").iterdir())
    for name in ("README.txt", "01J5.json", f"{asking.record(1).id.lower()}.json"):
        (shard / name).write_text("hello")

    assert opened().update() == []


# --- events


def test_tags_notes_and_aliases_are_as_events_left_them(store, opened):
    index, id = opened(), asking.record(3).id
    index.update()
    for number, told in enumerate(
        (
            {"do": "tag", "name": "best-of", "value": "2026"},
            {"do": "note", "value": "Trained TWICE"},
            {"do": "alias", "name": "best", "value": asking.record(3).address},
        )
    ):
        asking.keep_event(store, asking.event(number, id, **told))

    question = 'tags.best-of = "2026" and "twice" in notes and "best" in aliases'

    assert ask(index, question) == [id]


def test_events_that_come_in_another_order_leave_the_same(store, opened):
    id = asking.record(3).id
    late = [asking.event(1, id, "tag", name="x", value="first"), asking.event(2, id, "tag", name="x", value="second")]
    index = opened()
    for one in reversed(late):
        asking.keep_event(store, one)
        index.update()

    assert ask(index, 'tags.x = "second"') == [id]


def test_an_alias_means_only_what_it_was_moved_to_last(store, opened):
    address = asking.record(3).address
    for number, checkpoint in ((1, 3), (3, 5), (2, 4)):
        asking.keep_event(
            store, asking.event(number, asking.record(checkpoint).id, "alias", name="best", value=address)
        )

    assert ask(opened(), '"best" in aliases') == [asking.record(5).id]


def test_deleted_checkpoints_are_not_found_until_they_are_restored(store, opened):
    index, id = opened(), asking.record(3).id
    asking.keep_event(store, asking.event(1, id, "delete"))
    assert id not in ask(index, "id is not null")
    assert id in index.search(deleted=True)

    asking.keep_event(store, asking.event(2, id, "restore"))

    assert id in ask(index, "id is not null")


def test_an_event_of_a_checkpoint_that_is_not_there_waits_for_it(store, opened):
    index, late = opened(), asking.record(COUNT)
    asking.keep_event(store, asking.event(1, late.id, "tag", name="waiting"))
    assert ask(index, '"waiting" in tags') == []

    asking.keep_record(store, late)

    assert ask(index, '"waiting" in tags') == [late.id]


# --- order and limits


def test_the_newest_come_first_where_nothing_else_is_asked(store, opened):
    index = opened()
    index.update()

    assert index.search() == [one.id for one in reversed(records())]


def test_sorted_by_a_metric_the_largest_come_first_and_those_without_it_last(store, opened):
    index = opened()
    index.update()
    values = {one.id: one.values.get("miou") for one in records()}

    found = [values[id] for id in index.search(None, "-metrics.miou")]

    assert found == sorted(found, key=lambda value: (value is None, -(value or 0)))
    assert None in found


def test_several_orders_decide_one_behind_the_other(store, opened):
    index = opened()
    index.update()
    by = {one.id: (one.network, -one.version) for one in records()}

    found = [by[id] for id in index.search(None, "network, -version")]

    assert found == sorted(found)


@pytest.mark.parametrize(("order", "match"), [("tags", "no order"), ("-metric.miou", "did you mean metrics.miou")])
def test_an_order_that_is_none_is_refused(store, opened, order, match):
    with pytest.raises(QueryError, match=match):
        opened().search(None, order)


@pytest.mark.parametrize("limit", [-1, True, 1.5, "3"])
def test_a_limit_is_a_whole_number(store, opened, limit):
    with pytest.raises(ValueError, match="limit is a whole number"):
        opened().search(None, limit=limit)


def test_a_limit_of_nothing_finds_nothing(store, opened):
    index = opened()
    index.update()

    assert index.search(None, limit=0) == []


# --- damage


def test_every_flipped_bit_is_noticed_and_the_answers_stay_the_same(store, opened, tmp_path):
    expected = ask(opened())
    chance = random.Random(0)
    for _ in range(40):
        [file] = files(tmp_path)
        content, status = bytearray(file.read_bytes()), file.stat()
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        file.write_bytes(content)
        # As a disk rots: without a trace in the file's time.
        os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))

        assert ask(opened()) == expected
        assert files(tmp_path) != [file]


def test_a_bit_that_flips_while_the_index_is_open_is_noticed_by_the_files_time(store, opened, tmp_path):
    index = opened()
    expected = ask(index)
    [file] = files(tmp_path)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 16
    file.write_bytes(content)

    assert ask(index) == expected
    assert files(tmp_path) != [file]


@pytest.mark.parametrize("left", [0, 100, 5000])
def test_an_index_that_was_cut_short_is_made_anew(store, opened, tmp_path, left):
    expected = ask(opened())
    os.truncate(files(tmp_path)[0], left)

    assert ask(opened()) == expected


@pytest.mark.parametrize("ending", [".sqlite", ".json", ".lock"])
@pytest.mark.parametrize("is_open", [True, False])
def test_an_index_whose_files_are_deleted_is_made_anew(store, opened, tmp_path, ending, is_open):
    index = opened()
    expected = ask(index)
    for file in (tmp_path / "cache").glob(f"*{ending}"):
        file.unlink()

    assert ask(index if is_open else opened()) == expected


def test_a_cache_that_is_removed_while_it_is_used_is_made_anew(store, opened, tmp_path):
    index = opened()
    expected = ask(index)
    shutil.rmtree(tmp_path / "cache")

    assert ask(index) == expected


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\x00\n{}", b"a\nb\nc\n"])
def test_a_damaged_seal_is_none(store, opened, tmp_path, content):
    expected = ask(opened())
    (tmp_path / "cache" / "index.json").write_bytes(content)

    assert ask(opened()) == expected


def test_an_index_of_another_version_is_left_and_made_anew(store, opened, tmp_path, monkeypatch):
    expected = ask(opened())
    monkeypatch.setattr("mcore.checkpoint.search.schema.VERSION", 99)

    assert ask(opened()) == expected
    assert b'"schema": 99' in (tmp_path / "cache" / "index.json").read_bytes()


def test_rebuilding_leaves_one_file_and_the_same_answers(store, opened, tmp_path):
    index = opened()
    expected = ask(index)

    index.rebuild()

    assert index.search(query.parse(QUESTION)) == expected
    assert len(files(tmp_path)) == 1


def test_a_dropped_index_comes_back_with_the_next_question(store, opened, tmp_path):
    index = opened()
    expected = ask(index)

    index.drop()

    assert files(tmp_path) == []
    assert ask(index) == expected


def test_a_process_whose_index_another_made_anew_goes_on_with_the_new_one(store, opened):
    one, other = opened(), opened()
    expected = ask(one)
    ask(other)
    one.rebuild()
    asking.keep_record(store, asking.record(COUNT))
    one.update()

    assert other.search(query.parse(QUESTION)) == right(records(COUNT + 1)) != expected


# --- several processes

WRITER = """
import sys
from mcore.checkpoint.search.index import Index
from tests.checkpoint import asking
store = asking.store(sys.argv[1])
index = Index(f"sqlite:///{sys.argv[2]}", store, asking.IDENTITY)
for number in range(int(sys.argv[3]), int(sys.argv[3]) + 30):
    record = asking.keep_record(store, asking.record(number))
    index.update()
    assert record.id in index.search(), number
"""


def writer(tmp_path, first):
    arguments = [str(tmp_path / "repository"), str(tmp_path / "cache" / "index"), str(first)]
    return subprocess.Popen([sys.executable, "-c", WRITER, *arguments], stderr=subprocess.PIPE, text=True)


def test_processes_that_write_and_ask_at_once_see_all_that_they_saved(store, opened, tmp_path):
    writers = [writer(tmp_path, 100 * (number + 1)) for number in range(3)]

    errors = [one.communicate(timeout=200)[1] for one in writers]

    assert [one.returncode for one in writers] == [0, 0, 0], errors
    index = opened()
    index.update()
    assert len(index.search()) == COUNT + 90


def test_a_process_killed_while_it_writes_leaves_an_index_that_answers_right(store, opened, tmp_path):
    expected = None
    for delay in (0.7, 0.9, 1.1, 1.3, 1.6):
        shutil.rmtree(tmp_path / "cache", ignore_errors=True)
        process = writer(tmp_path, 500)
        time.sleep(delay)
        process.kill()
        process.wait()
        process.stderr.close()

        expected = right([asking.record(number) for number in _numbers(store)])

        assert ask(opened()) == expected
    assert expected


def _numbers(store):
    known = {asking.record(number).id: number for number in (*range(COUNT), *range(500, 530))}
    return [known[file.stem] for file in (store.path / "records").rglob("*.json")]


def test_a_child_of_fork_asks_by_connections_of_its_own(store, opened):
    index = opened()
    expected = ask(index)
    child = os.fork()
    if not child:
        # pytest's own end of the process isn't for a child.
        os._exit(0 if ask(index) == expected else 1)

    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    assert ask(index) == expected


# --- places


def test_the_index_lies_in_the_cache_that_is_named_and_never_in_the_repository(store, tmp_path, monkeypatch):
    monkeypatch.setenv("MCORE_CACHE", str(tmp_path / "mine"))
    index = Index(None, store, asking.IDENTITY)
    index.update()

    assert list((tmp_path / "mine" / "checkpoints").glob(f"{asking.IDENTITY}-*.sqlite"))
    assert {one.name for one in store.path.iterdir()} == {"records"}


def test_copies_of_a_repository_have_an_index_each(store, tmp_path, monkeypatch):
    monkeypatch.setenv("MCORE_CACHE", str(tmp_path / "mine"))
    shutil.copytree(store.path, tmp_path / "copy")
    copy = asking.store(tmp_path / "copy")
    asking.keep_record(copy, asking.record(COUNT))
    both = [Index(None, one, asking.IDENTITY) for one in (store, copy, store)]

    for index in both:
        index.update()

    assert [len(index.search()) for index in both] == [COUNT, COUNT + 1, COUNT]


@pytest.mark.parametrize("url", ["mysql://x", "redis", "sqlite://", ""])
def test_a_place_that_is_none_is_refused(store, url):
    with pytest.raises(ValueError, match="is no place for one"):
        Index(url, store, asking.IDENTITY)


def test_a_cache_that_cannot_be_made_is_told_with_what_to_do(store, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MCORE_CACHE", str(tmp_path / "file"))

    with pytest.raises(StorageError, match="MCORE_CACHE names another folder"):
        Index(None, store, asking.IDENTITY)


# --- an object store, which has no times of folders


class Bucket:
    """A folder as an object store shows it."""

    def __init__(self, folder):
        self._folder, self.url, self.listed = folder, "s3://bucket", []

    def read(self, key, *, most=None):
        return self._folder.read(key, most=most)

    def files(self, prefix, *, after=""):
        for kept in self._folder.files(prefix, after=after):
            self.listed.append(kept.key)
            yield kept


def test_of_an_object_store_only_the_last_day_is_listed_again(store, tmp_path, monkeypatch):
    monkeypatch.setattr(index_files, "FEW", 10)
    bucket = Bucket(store)
    index = Index(f"sqlite:///{tmp_path / 'bucket'}", bucket, asking.IDENTITY)
    index.update()
    bucket.listed.clear()
    asking.keep_record(store, asking.record(COUNT))

    index.update()

    # Ids are an hour apart.
    assert 24 <= len(bucket.listed) <= 27
    assert index.search() == [one.id for one in reversed(records(COUNT + 1))]


def test_of_a_small_object_store_all_is_listed(store, tmp_path):
    bucket = Bucket(store)
    index = Index(f"sqlite:///{tmp_path / 'bucket'}", bucket, asking.IDENTITY)
    gone = asking.record(0).id
    index.update()
    next((store.path / "records").rglob(f"{gone}.json")).unlink()

    index.update()

    assert gone not in index.search()


def test_a_full_update_finds_what_came_more_than_a_day_late(store, tmp_path, monkeypatch):
    monkeypatch.setattr(index_files, "FEW", 10)
    late = asking.record(2)
    file = next((store.path / "records").rglob(f"{late.id}.json"))
    file.unlink()
    bucket = Bucket(store)
    index = Index(f"sqlite:///{tmp_path / 'bucket'}", bucket, asking.IDENTITY)
    index.update()
    asking.keep_record(store, late)
    index.update()
    assert late.id not in index.search()

    index.update(full=True)

    assert late.id in index.search()


# --- through the repository


def test_a_repository_is_searched_by_words_and_by_keywords_alike(tmp_path, monkeypatch):
    monkeypatch.setenv("MCORE_CACHE", str(tmp_path / "cache"))
    repo = made.repository(tmp_path / "repository")
    made.put(repo, metrics=[{"name": "miou", "value": 0.5}])
    good = made.put(repo, metrics=[{"name": "miou", "value": 0.8}])
    repo.tag(good, "em")

    by_words = repo.search('task = "segmentation" and metrics.miou > 0.7 and tags in ("em")', order="-metrics.miou")

    assert [one.id for one in by_words] == [good]
    assert repo.search(task="segmentation", metrics__miou__gt=0.7, tags=["em"]) == by_words
