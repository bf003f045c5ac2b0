"""The index in PostgreSQL: the same answers as SQLite's, from a real server that these tests start."""

import os
import subprocess
import sys
import uuid

import pytest
from hypothesis import HealthCheck, given, settings

from mcore.checkpoint.errors import QueryError
from mcore.checkpoint.ids import new_id
from mcore.checkpoint.search import query
from mcore.checkpoint.search.index import Index
from mcore.exchange.errors import StorageError
from tests.checkpoint import asking, made, servers

pytestmark = pytest.mark.skipif(bool(servers.why_not()), reason=servers.why_not())
COUNT = 60


@pytest.fixture(scope="module")
def server():
    pytest.importorskip("psycopg")
    with servers.postgresql() as url:
        yield url


@pytest.fixture(scope="module")
def corpus(server, tmp_path_factory):
    """An index of many checkpoints of every kind, and the records themselves, newest first."""
    store = asking.store(tmp_path_factory.mktemp("repository"))
    records = [asking.keep_record(store, asking.record(number)) for number in range(COUNT)]
    index = Index(server, store, new_id())
    assert index.update() == []
    return asking.Corpus((index, records[::-1], store))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(question=asking.QUESTIONS)
def test_postgresql_answers_as_the_records_themselves(corpus, question):
    index, records, _ = corpus

    assert index.search(question) == [one.id for one in records if asking.answer(question, one)]


@pytest.mark.parametrize(
    "order", ["-metrics.miou", "author", "-created, version", "facts.size", "-head.num_classes", "notes"]
)
def test_both_databases_sort_alike(corpus, tmp_path, order):
    index, _, store = corpus
    other = Index(f"sqlite:///{tmp_path / 'index'}", store, asking.IDENTITY)
    other.update()

    assert index.search(None, order) == other.search(None, order)


def test_a_second_process_has_nothing_to_make(corpus, server, monkeypatch):
    index, records, store = corpus
    second = Index(server, store, index._place.name.removeprefix("mcore_").upper())
    monkeypatch.setattr(second, "rebuild", lambda: pytest.fail("made anew"))

    second.update()

    assert second.search() == [one.id for one in records]


def test_repositories_in_one_database_do_not_mix(server, tmp_path):
    stores = [asking.store(tmp_path / name) for name in "ab"]
    for number, store in enumerate(stores):
        asking.keep_record(store, asking.record(number))
    indices = [Index(server, store, new_id()) for store in stores]
    for index in indices:
        index.update()

    assert [index.search() for index in indices] == [[asking.record(0).id], [asking.record(1).id]]


def test_a_dropped_index_is_made_anew(server, tmp_path):
    store = asking.store(tmp_path)
    record = asking.keep_record(store, asking.record(1))
    index = Index(server, store, new_id())
    index.update()
    index.drop()

    assert index.search() == [record.id]


def test_events_come_in_as_they_do_in_a_file(server, tmp_path):
    store = asking.store(tmp_path)
    index, id = Index(server, store, new_id()), asking.keep_record(store, asking.record(1)).id
    index.update()
    asking.keep_event(store, asking.event(1, id, "tag", name="em", value="it's 50%"))
    index.update()

    assert index.search(query.parse('tags.em = "it\'s 50%"')) == [id]


WRITER = """
import sys
from mcore.checkpoint.search.index import Index
from tests.checkpoint import asking
store = asking.store(sys.argv[1])
index = Index(sys.argv[2], store, sys.argv[3])
for number in range(int(sys.argv[4]), int(sys.argv[4]) + 20):
    record = asking.keep_record(store, asking.record(number))
    index.update()
    assert record.id in index.search(), number
"""


def test_processes_that_write_and_ask_at_once_see_all_that_they_saved(server, tmp_path):
    identity = new_id()
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), server, identity, str(100 * number)],
            stderr=subprocess.PIPE, text=True,
        )
        for number in range(3)
    ]  # fmt: skip

    errors = [one.communicate(timeout=200)[1] for one in writers]

    assert [one.returncode for one in writers] == [0, 0, 0], errors
    index = Index(server, asking.store(tmp_path), identity)
    index.update()
    assert len(index.search()) == 60


def test_a_child_of_fork_asks_by_connections_of_its_own(corpus):
    index, records, _ = corpus
    child = os.fork()
    if not child:
        # pytest's own end of the process isn't for a child.
        os._exit(0 if len(index.search()) == COUNT else 1)

    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    assert len(index.search()) == len(records)


def test_a_server_that_is_not_there_is_told_without_the_password(tmp_path):
    index = Index(f"postgresql://me:s3cret@/x?host={tmp_path / uuid.uuid4().hex}", asking.store(tmp_path), new_id())

    with pytest.raises(StorageError, match="the index can't be reached") as caught:
        index.update()

    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("said", ["x' OR 1=1 --", "'; DROP SCHEMA public CASCADE; --", "%", "_", "\0"])
def test_what_is_asked_is_never_a_part_of_the_statement(corpus, said):
    index, records, _ = corpus

    found = index.search(query.of_keywords(network=said))

    assert found == []
    assert len(index.search()) == len(records)


def test_a_repository_is_searched_in_it(server, tmp_path):
    repo = made.Repository(tmp_path / "repository", author="ann", index=server)
    id = made.put(repo, metrics=[{"name": "miou", "value": 0.8}])

    assert [one.id for one in repo.search("metrics.miou > 0.7")] == [id]
    with pytest.raises(QueryError, match="did you mean"):
        repo.search("metric.miou > 0.7")
