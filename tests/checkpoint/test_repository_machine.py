"""Whatever is done in whatever order, a repository tells what a dictionary would; the index can go at any time."""

import contextlib
import tempfile
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

import mcore
from mcore.checkpoint import NotFound, Repository

pytest.importorskip("sqlalchemy", reason="searching needs the extra checkpoints")

WORDS = st.sampled_from(["em", "brain", "old", "good"])
TASKS = st.sampled_from(["seg", "det"])


class Killed(BaseException):
    """What a process feels that is killed: nothing, so nothing may clean up after it."""


class Checkpoints(RuleBasedStateMachine):
    """A repository beside a dictionary of what it should hold."""

    there = Bundle("checkpoints")

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.weights = {}
        self.tags = {}
        self.deleted = set()
        self.aliases = {}
        self.tasks = {}
        self.net = mcore.Sequential(mcore.Linear(2, 3))
        self.open()

    def open(self):
        # An index of its own: that of the user's cache isn't this machine's.
        self.repo = Repository(Path(self.folder.name, "r"), index=f"sqlite:///{self.folder.name}/index.sqlite")

    def teardown(self):
        self.folder.cleanup()

    def filled(self, value):
        self.net.load_state_dict(
            {name: mcore.full(tuple(x.shape), float(value)) for name, x in self.net.state_dict().items()}
        )
        return self.net

    @rule(target=there, value=st.integers(0, 3), task=TASKS, tag=st.none() | WORDS)
    def save(self, value, task, tag):
        id = self.repo.save(self.filled(value), network="two", task=task, tags=[tag] if tag else [])
        self.weights[id], self.tags[id], self.tasks[id] = value, {tag} - {None}, task
        return id

    @rule(value=st.integers(0, 5), step=st.sampled_from(["blobs/", "versions/", "records/"]), before=st.booleans())
    def save_and_be_killed(self, value, step, before):
        store = self.repo.store
        create, put = store.create, store.put

        def killing(key, act):
            if key.startswith(step) and before:
                raise Killed
            done = act()
            if key.startswith(step) and step != "records/":
                raise Killed
            return done

        store.create = lambda key, content: killing(key, lambda: create(key, content))
        store.put = lambda chunks, size: killing("blobs/", lambda: put(chunks, size))
        try:
            with contextlib.suppress(Killed):
                id = self.repo.save(self.filled(value), network="two", task="seg")
                self.weights[id], self.tags[id], self.tasks[id] = value, set(), "seg"
        finally:
            del store.create, store.put
        self.open()

    @rule(id=there, word=WORDS)
    def tag(self, id, word):
        if id in self.weights and id not in self.deleted:
            self.repo.tag(id, word)
            self.tags[id].add(word)

    @rule(id=there, word=WORDS)
    def untag(self, id, word):
        if id in self.weights and id not in self.deleted and word in self.tags[id]:
            self.repo.untag(id, word)
            self.tags[id].discard(word)

    @rule(id=there)
    def alias(self, id):
        if id in self.weights and id not in self.deleted:
            self.repo.alias(id, "best")
            self.aliases[self.tasks[id]] = id

    @rule(id=there)
    def delete(self, id):
        if id in self.weights and id not in self.deleted:
            self.repo.delete(id)
            self.deleted.add(id)

    @rule(id=there)
    def restore(self, id):
        if id in self.deleted:
            self.repo.restore(id)
            self.deleted.discard(id)

    @rule()
    def collect(self):
        self.repo.gc(grace=0)
        for id in self.deleted:
            del self.weights[id]
        self.deleted.clear()

    @rule(id=consumes(there))
    def ask_for_one_that_is_collected(self, id):
        if id not in self.weights:
            with pytest.raises(NotFound):
                self.repo.load_into(self.net, id)

    @rule()
    def lose_the_index(self):
        for path in Path(self.folder.name).glob("index.sqlite*"):
            path.unlink()
        self.open()

    @rule(word=WORDS, task=TASKS)
    def search(self, word, task):
        found = {record.id for record in self.repo.search(f'task = "{task}" and tags in ("{word}")')}

        assert found == {id for id in self.visible() if self.tasks[id] == task and word in self.tags[id]}

    def visible(self):
        return {id for id in self.weights if id not in self.deleted}

    @invariant()
    def it_has_what_it_should(self):
        assert set(self.repo.ids()) == self.visible()
        assert self.repo.verify() == []
        for id in self.visible():
            assert set(self.repo.record(id).tags) == self.tags[id]
        for task, id in self.aliases.items():
            if id in self.visible():
                assert self.repo.resolve(f"networks/{task}/two@best") == id

    @invariant()
    def weights_are_those_that_were_saved(self):
        for id in sorted(self.visible())[-2:]:
            self.repo.load_into(self.filled(9), id)
            assert all(
                (np.asarray(x.detach().numpy()) == self.weights[id]).all() for x in self.net.state_dict().values()
            )


QUICK = settings(
    max_examples=12, stateful_step_count=15, deadline=None, suppress_health_check=[*HealthCheck], derandomize=True
)
THOROUGH = settings(QUICK, max_examples=150, stateful_step_count=40, derandomize=False)


def test_a_repository_tells_what_a_dictionary_would():
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(Checkpoints, settings=QUICK)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_repository_tells_what_a_dictionary_would_in_many_orders():
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(Checkpoints, settings=THOROUGH)
