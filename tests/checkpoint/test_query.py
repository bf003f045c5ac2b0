"""Questions in words and as keywords: what they mean, and errors that point at the word."""

import subprocess
import sys
import time

import pytest

from mcore.checkpoint.errors import LimitExceeded, QueryError
from mcore.checkpoint.search import fields as query_fields
from mcore.checkpoint.search import query
from mcore.checkpoint.search.index import Index
from mcore.checkpoint.search.query import And, Compare, In, IsNull, Not, Or
from tests.checkpoint import asking

TASK = Compare("task", "=", "detection")
GOOD = Compare("metrics.miou", ">", 0.7)
EM = In("tags", ("em",))


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ('task = "detection"', TASK),
        ("task = 'detection'", TASK),
        ('task="detection"and metrics.miou>.7', And((TASK, GOOD))),
        ('task = "detection" AND NOT "em" IN tags', And((TASK, Not(EM)))),
        ('tags in ("em")', EM),
        ('tags in ("em", "mri",)', In("tags", ("em", "mri"))),
        ('tags not in "em"', Not(EM)),
        ('"em" not in tags', Not(EM)),
        ("version in (1, 2)", In("version", (1, 2))),
        ("task is null", IsNull("task")),
        ("task is not null", Not(IsNull("task"))),
        ('not task = "detection" or "em" in tags', Or((Not(TASK), EM))),
        ('task = "detection" or "em" in tags and metrics.miou > 0.7', Or((TASK, And((EM, GOOD))))),
        ('(task = "detection" or "em" in tags) and metrics.miou > 0.7', And((Or((TASK, EM)), GOOD))),
        ("has_nan = true", Compare("has_nan", "=", True)),
        ("metrics.val.mAP@50 >= -1e-3", Compare("metrics.val.mAP@50", ">=", -0.001)),
        ('tags.domain = "em"', Compare("tags.domain", "=", "em")),
        ('tags.v1.2-rc+3 = "x"', Compare("tags.v1.2-rc+3", "=", "x")),
        ('backbone ~ "resnet*"', Compare("backbone", "~", "resnet*")),
        ('facts."mean size".x > 3', Compare("facts.mean size.x", ">", 3)),
        (r'notes = "say \"no\" \\ C:\data"', Compare("notes", "=", 'say "no" \\ C:\\data')),
        ('"brain" in notes', In("notes", ("brain",))),
        ('created >= "2026-11"', Compare("created", ">=", "2026-11")),
        ("facts.and.not.in is null", IsNull("facts.and.not.in")),
        ('\n  task =\t"detection"\n', TASK),
    ],
)
def test_words_become_what_they_mean(text, meant):
    assert query.parse(text) == meant


@pytest.mark.parametrize(
    ("text", "told", "word"),
    [
        ('backbon = "x"', "no field 'backbon'; did you mean backbone", "backbon"),
        ('task = "x" and metric.miou > 1', "did you mean metrics.miou?", "metric.miou"),
        ("optimizer.lr > 1", "did you mean optimiser.lr", "optimizer.lr"),
        ("in_channels = 3", "did you mean backbone.in_channels, head.in_channels", "in_channels"),
        ('metrics.miou > "high"', "is a number, but", '"high"'),
        ("task = 3", "task is text, but 3 is a number", "3"),
        ("task = true", "task is text, but true is true or false", "true"),
        ("version in (1, 'b')", "version is a number", "'b'"),
        ("has_nan = 1", "true or false, but 1 is a number", "1"),
        ("has_nan > true", "doesn't take", "has_nan"),
        ("facts.x > true", "have no order", "true"),
        ("backbone ~ 3", "text, but 3", "3"),
        ('kind = "netwrk"', 'did you mean "network"?', '"netwrk"'),
        ('created > "2026-13"', "is no moment such as", '"2026-13"'),
        ('created > "yesterday"', "is no moment such as", '"yesterday"'),
        ('created > "9999"', "is no moment such as", '"9999"'),
        ('tags = "em"', 'write "em" in tags', "tags"),
        ('tags != "em"', 'write "em" not in tags', "tags"),
        ("tags > 3", "doesn't take", "tags"),
        ("metrics = 1", "write metrics.NAME", "metrics"),
        ("3 in version", "contains nothing", "version"),
        ('task == "x"', 'equal is "="', "="),
        ('task <> "x"', 'unequal is "!="', ">"),
        ('task = "x" && has_nan = true', 'write "and"', "&&"),
        ('task = "x" || has_nan = true', 'write "or"', "||"),
        ('task like "x"', "a pattern is", "like"),
        ("task = segmentation", 'a text stands in quotes: "segmentation"', "segmentation"),
        ("task in (segmentation)", 'a text stands in quotes: "segmentation"', "segmentation"),
        ('task = "x', "has no end", '"'),
        ('task = "x") or version = 1', "isn't what can stand here", ")"),
        ('"em" version', "can stand here: in, not", "version"),
        ("version = 3abc", "3abc is no value", "3abc"),
        ("version = 1e999", "too large a number", "1e999"),
        ("facts." + 300 * "x" + " = 1", "a path of 306 characters", "facts." + 300 * "x"),
    ],
)
def test_an_error_points_at_the_word(text, told, word):
    with pytest.raises(QueryError) as caught:
        query.parse(text)

    message, shown, marks = str(caught.value).split("\n")
    assert told in message
    assert len(marks) <= len(shown) <= 102
    start = marks.index("^")
    assert shown[start : len(marks)] == word[: len(marks) - start]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('task = "x" and', "ends too early"),
        ("task", "what can follow is in, is, not, ="),
        ('(task = "x"', 'what can follow is ")"'),
        ("not", "ends too early"),
        ("  ", "the question is empty"),
        ("task in ()", "isn't what can stand here"),
    ],
)
def test_a_question_without_an_end_is_told_with_what_can_follow(text, told):
    with pytest.raises(QueryError) as caught:
        query.parse(text)

    assert told in str(caught.value)


def test_the_word_is_shown_also_at_the_end_of_a_long_question():
    with pytest.raises(QueryError) as caught:
        query.parse(" or ".join(['task = "detection"'] * 200) + " or taks = 1")

    _, shown, marks = str(caught.value).split("\n")
    assert shown[marks.index("^") :].startswith("taks")


def test_a_question_is_text():
    with pytest.raises(TypeError, match="a question is text, got a int"):
        query.parse(3)


# --- keywords


@pytest.mark.parametrize(
    ("keywords", "text"),
    [
        ({"task": "detection"}, 'task = "detection"'),
        ({"metrics__miou__gt": 0.7}, "metrics.miou > 0.7"),
        ({"metrics__val__miou__le": 0.7}, "metrics.val.miou <= 0.7"),
        ({"metrics.miou": (">", 0.7)}, "metrics.miou > 0.7"),
        ({"backbone": ["resnet18", "resnet50"]}, 'backbone in ("resnet18", "resnet50")'),
        ({"backbone": ("resnet18", "resnet50")}, 'backbone in ("resnet18", "resnet50")'),
        ({"backbone__like": "resnet*"}, 'backbone ~ "resnet*"'),
        ({"backbone__ne": "resnet18"}, 'backbone != "resnet18"'),
        ({"tags": "em"}, '"em" in tags'),
        ({"tags": ["em", "mri"]}, 'tags in ("em", "mri")'),
        ({"tags": {"domain": "em"}}, 'tags.domain = "em"'),
        ({"parent": None}, "parent is null"),
        ({"parent__null": False}, "parent is not null"),
        ({"notes__in": "brain"}, '"brain" in notes'),
        ({"has_nan": False, "version": 3}, "has_nan = false and version = 3"),
        ({"batch_size": 4, "head__num_classes__in": (2, 3)}, "batch_size = 4 and head.num_classes in (2, 3)"),
    ],
)
def test_keywords_mean_what_words_do(keywords, text):
    assert query.of_keywords(**keywords) == query.parse(text)


def test_no_keywords_ask_nothing():
    assert query.of_keywords() is None
    assert query.joined(None, None) is None
    assert query.joined(TASK, None) == TASK
    assert query.joined(TASK, EM) == And((TASK, EM))


@pytest.mark.parametrize(
    ("keywords", "match"),
    [
        ({"tsak": "x"}, "no field 'tsak'; did you mean task"),
        ({"metrics__miou__gt": "x"}, "is a number"),
        ({"task": object()}, "got a object"),
        ({"task": []}, "names no value"),
        ({"metrics__miou": float("nan")}, "no finite number"),
        ({"task": "\ud800"}, "can't be written as UTF-8"),
    ],
)
def test_keywords_that_do_not_fit_are_told(keywords, match):
    with pytest.raises(QueryError, match=match):
        query.of_keywords(**keywords)


def test_an_order_is_fields_with_a_sign():
    assert query.ordering("-metrics.miou, created") == [("metrics.miou", True), ("created", False)]
    assert query.ordering(["-version", "+network"]) == [("version", True), ("network", False)]
    assert query.ordering(()) == []


# --- limits, and what strangers ask


@pytest.mark.parametrize(
    "text",
    [
        "(" * 60 + "version = 1" + ")" * 60,
        "not " * 60 + "version = 1",
        "version in (" + ",".join(["1"] * 1001) + ")",
        "version=1" + " or version=1" * 10_000,
        "version=1" + " or version=1" * 200,
        "(" * 9000,
        "not " * 2400,
    ],
    ids=("parentheses", "not", "values", "terms", "comparisons", "open", "not without an end"),
)
def test_what_is_too_large_is_refused_within_a_second(text):
    start = time.process_time()

    with pytest.raises((LimitExceeded, QueryError)):
        query.parse(text)

    assert time.process_time() - start < 1


def test_data_that_is_too_deep_is_refused_too():
    node = TASK
    for _ in range(5000):
        node = Not(node)

    with pytest.raises(LimitExceeded, match="more than 50 deep"):
        query.checked(node)


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    store = asking.store(tmp_path_factory.mktemp("repository"))
    for number in range(100):
        asking.keep_record(store, asking.record(number))
    made = Index(f"sqlite:///{tmp_path_factory.mktemp('cache') / 'index'}", store, asking.IDENTITY)
    made.update()
    return made


@pytest.mark.parametrize(
    "node",
    [
        Or(tuple(Compare("metrics.miou", ">", number) for number in range(200))),
        And((Not(EM),) * 200),
        Or((Compare("facts.size", "~", "*large*"),) * 100 + (Compare("version", "=", 1),) * 100),
        In("network", tuple(map(str, range(1000)))),
        Compare("notes", "~", "*a" * 4900),
        Compare("author", "~", "%_*?" * 2000),
        Not(Not(Not(Compare("network", "~", "*" * 9000)))),
    ],
    ids=("or", "and", "patterns", "values", "stars in notes", "stars in a line", "only stars"),
)
def test_the_largest_question_is_answered_within_a_second(index, node):
    start = time.process_time()

    index.search(node)

    assert time.process_time() - start < 1


@pytest.mark.parametrize(
    "said", ["x' OR 1=1 --", '"; DROP TABLE checkpoint; --', "%", "*", "[a-z]", "\0", "__class__", "{{7*7}}", "\\"]
)
@pytest.mark.parametrize("field", ["network", "tags.domain", "facts.size", "notes", "backbone"])
def test_what_is_asked_is_compared_and_never_run(index, said, field):
    found = index.search(Compare(field, "=", said))

    assert set(found) == {
        one.id for one in map(asking.record, range(100)) if asking.answer(Compare(field, "=", said), one)
    }
    assert len(index.search()) == 100


@pytest.mark.parametrize("pattern", ["a[b]*", "50%_*", "back\\*", "x' OR*", "Gr??e", "*"])
def test_only_stars_and_question_marks_of_a_pattern_mean_something(index, pattern):
    node = Compare("author", "~", pattern)

    found = index.search(node)

    assert set(found) == {one.id for one in map(asking.record, range(100)) if asking.answer(node, one)}
    assert found


@pytest.mark.parametrize("field", ["tags.x' OR 1=1 --", 'facts.a"b', "metrics.miou) --", "loss.%"])
def test_a_name_of_a_field_is_no_part_of_a_statement_either(index, field):
    if field.startswith("metrics"):
        with pytest.raises(QueryError, match="there is no field"):
            index.search(IsNull(field))
    else:
        assert index.search(IsNull(field)) == index.search()


# --- the table of fields


def test_every_field_of_the_table_can_be_asked_for():
    for field in query_fields.FIELDS:
        name = field.name.replace("<part>", "head").replace("<name>", "some").replace("<path>", "some")

        assert query_fields.field_of(name).doc == field.doc
        assert field.name in query_fields.table()


def test_without_the_extra_an_error_names_it():
    code = (
        "import sys; sys.modules['lark'] = sys.modules['sqlalchemy'] = None\n"
        "from mcore.checkpoint.search import query\n"
        "try: query.parse('version = 1')\n"
        "except ImportError as error: print(error)\n"
        "try: import mcore.checkpoint.search.index\n"
        "except ImportError as error: print(error)\n"
    )

    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.splitlines()

    assert [line.partition(" ")[0] for line in said] == ["lark", "sqlalchemy"]
    assert all('pip install ".[checkpoints]"' in line for line in said)
