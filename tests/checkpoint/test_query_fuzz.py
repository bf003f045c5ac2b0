"""Random questions about random checkpoints: the index answers as a plain reading of the records does."""

import contextlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mcore.checkpoint.errors import LimitExceeded, QueryError
from mcore.checkpoint.search import query
from mcore.checkpoint.search.index import Index
from tests.checkpoint import asking

RECORDS = 150
quick = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """An index of many checkpoints of every kind, and the records themselves, newest first."""
    store = asking.store(tmp_path_factory.mktemp("repository"))
    records = [asking.keep_record(store, asking.record(number)) for number in range(RECORDS)]
    index = Index(f"sqlite:///{tmp_path_factory.mktemp('cache') / 'index'}", store, asking.IDENTITY)
    assert index.update() == []
    return asking.Corpus((index, records[::-1], store))


@quick
@given(question=asking.QUESTIONS)
def test_the_index_answers_as_the_records_themselves(corpus, question):
    index, records, _ = corpus

    assert index.search(question) == [one.id for one in records if asking.answer(question, one)]


@quick
@given(question=asking.QUESTIONS, limit=st.integers(1, 5), order=st.sampled_from(("-metrics.miou", "metrics.val.miou")))
def test_the_first_of_an_order_are_those_of_all(corpus, question, limit, order):
    index, _, _ = corpus

    assert index.search(question, order, limit) == index.search(question, order)[:limit]


@quick
@given(question=asking.QUESTIONS)
def test_a_question_written_down_is_the_same_question(question):
    assert query.parse(str(question)) == question


@quick
@given(question=asking.QUESTIONS)
def test_a_question_and_its_opposite_never_find_the_same(corpus, question):
    index, _, _ = corpus

    assert not {*index.search(question)} & {*index.search(query.Not(question))}


WORDS = st.sampled_from(
    (
        *"task backbone metrics.miou tags facts.size and or not in is null = != < ~ ( ) , 0.7 -1 true".split(),
        *('"em"', "'x'", '"', "'", "\\", ";", "--", "x'; OR 1=1", "/*", "%", "*", "\0", "\ud800", "ü", "==", "&&", "["),
    )
)


@quick
@given(words=st.lists(WORDS, max_size=12), between=st.sampled_from((" ", "")))
def test_whatever_is_written_becomes_a_question_or_an_error_of_ours(corpus, words, between):
    index, _, _ = corpus
    # Any other error is what this would fail with.
    with contextlib.suppress(QueryError, LimitExceeded):
        index.search(query.parse(between.join(words)))


@quick
@given(text=st.text(max_size=60))
def test_any_text_becomes_a_question_or_an_error_of_ours(text):
    with contextlib.suppress(QueryError, LimitExceeded):
        query.parse(text)
