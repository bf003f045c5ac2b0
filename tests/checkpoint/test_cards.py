"""Cards: complete, the same each time, and nothing in them runs, whatever names, tags and notes say."""

import os
import re
import shutil
import sys
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser

import numpy as np
import pytest

from mcore.checkpoint import Repository
from mcore.checkpoint.ids import first_id
from mcore.checkpoint.shown.cards import card
from mcore.checkpoint.store.base import blob_key
from tests.checkpoint.made import put, repository, weights
from tests.checkpoint.tiny import Tiny

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PHONE = {"viewport": {"width": 375, "height": 812}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}
HOSTILE = (
    "<script>window.hacked=1</script>",
    "<img src=x onerror=window.hacked=1>",
    "{{7*7}}{% raw %}",
    "javascript:window.hacked=1",
    "'\"><svg onload=window.hacked=1>",
    "</pre></style></script><script>window.hacked=1</script>",
)


# Of a record whose texts are all "wordy".
SAID = """networks/segmentation/UNet@2
2026-11-28 17:00 UTC
@best
em: wordy
later: wordy
val.miou
0.70149
higher
0.7015
mixed
64 x 48, 128
60,000 images
lr 0.1, weight decay 0.0001
0.003
forward 1.25 ms (10 to 90 %: 0.1 ms) and backward 3.5 ms
memory 1.0 MB, in training 5.0 MB
20 runs, 2 threads
a1b2c3d4e5 with changes
3 channels: R, G, B
0.485, 0.456, 0.406
0 to 1
H/2
isn't a finite number
backbone.layer
weight 3 float16
head.conv
weight 4 x 3 x 3 x 3, bias 4
networks/segmentation/UNet@1
tagged later=wordy
note: wordy
called networks/segmentation/UNet@best
wordy=wordy
"wordy": [ "wordy" ]
wordy is wordy
saved because ofwordy""".splitlines()


class Reader(HTMLParser):
    """Elements of a page, the text of its style, and all other text."""

    def __init__(self, page):
        super().__init__()
        self.elements, self.style, self.text, self._inside = [], "", "", ""
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self._inside = tag

    def handle_endtag(self, tag):
        self._inside = ""

    def handle_data(self, data):
        if self._inside == "style":
            self.style += data
        else:
            self.text += data


def everything(text="plain"):
    """A record in which every field is filled, with `text` wherever there may be any."""
    component = {
        "type": text,
        "arguments": {text: text},
        "in_channels": 3,
        "channels": ["R", "G", "B"],
        "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225],
        "value_range": [0, 1],
        "first_conv": [text],
        "classifier": [text],
        "out_channels": 5,
        "num_classes": 5,
        "task": text,
        "resolution": "H/2",
        "facts": {text: [text]},
    }
    cost = {"device": text, "shape": [8, 3, 64, 48], "forward_ms": 1.25, "forward_backward_ms": 3.5, "spread_ms": 0.1}
    return {
        "structure": {"builder": "models", "config": {text: [text]}, "title": text},
        "code": {
            "package": text,
            "version": text,
            "commit": "a1b2c3d4e5",
            "dirty": True,
            "hash": 64 * "0",
            "engine": text,
            "libraries": {text: text},
        },
        "backbone_facts": component,
        "resolutions": [[64, 48], [128]],
        "loss": {text: text},
        "metrics": [
            {"name": "miou", "split": "val", "value": 0.70149, "dataset": text, "head": text, "better": "higher"},
            {"name": "loss", "value": 0.25},
        ],
        "dataset": [{"name": text, "version": text, "images": 60_000, "facts": {text: text}}],
        "optimiser": {
            "name": text,
            "groups": [{"lr": 0.1, "weight_decay": 1e-4, "name": text, "facts": {text: text}}],
            "scheduler": text,
            "max_start_lr": 0.003,
        },
        "precision": "mixed",
        "batch_size": 8,
        "costs": [{**cost, "memory_bytes": 10**6, "training_memory_bytes": 5 * 10**6, "runs": 20, "threads": 2}],
        "facts": {text: {text: text}},
        "tags": {"em": text},
        "notes": f"{text}\n{text}",
        "author": text,
        "rule": text,
        "training": True,
        "has_nan": True,
        "shared": {text: text},
    }


@pytest.fixture
def repo(tmp_path):
    return repository(tmp_path / "repo")


def full(repo, text="plain"):
    """The id of a checkpoint with everything, tagged, named, noted and with a parent."""
    parent = put(repo, {"": weights(5)})
    names = {text: np.ones((2, 2), np.float32), "layer.weight": np.ones(3, np.float16)}
    id = put(repo, {"backbone": names, "head": weights(1)}, parent=parent, **everything(text))
    repo.tag(id, "later", text)
    repo.note(id, text)
    repo.alias(id, "best")
    return id


def text_of(page):
    return re.sub(r"\s+", " ", Reader(page).text)


def test_the_page_has_everything_that_the_record_says(repo):
    id = full(repo, "wordy")

    text = text_of(repo.card(id))

    for said in (id, *SAID):
        assert said in text, said


def test_a_page_of_little_has_no_empty_rows(repo):
    id = put(repo)

    page = Reader(repo.card(id))

    assert "None" not in page.text
    assert not re.search(r"<d[dt]></d[dt]>|<td></td>", repo.card(id))
    assert [tag for tag, _ in page.elements if tag == "h2"] == ["h2"] * 3


def test_the_same_checkpoint_gives_the_same_page(repo):
    id = full(repo)

    assert repo.card(id) == Repository(repo.store.path, author="ann").card(id)


def test_the_page_loads_nothing_and_its_policy_lets_its_own_style_work_only(repo):
    page = Reader(repo.card(full(repo)))

    policy = next(a["content"] for _, a in page.elements if a.get("http-equiv") == "Content-Security-Policy")
    hashed = "sha256-" + b64encode(sha256(page.style.encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src '{hashed}'; base-uri 'none'; form-action 'none'"
    assert not [tag for tag, _ in page.elements if tag in ("script", "a", "img", "link", "iframe", "object", "base")]
    assert not [a for _, a in page.elements if a.keys() & {"src", "href", "action", "style"}]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_plain_text(tmp_path, text):
    one, other = repository(tmp_path / "one"), repository(tmp_path / "other")
    harmless, hostile = Reader(one.card(full(one))), Reader(other.card(full(other, text)))

    assert [tag for tag, _ in hostile.elements] == [tag for tag, _ in harmless.elements]
    assert [sorted(a) for _, a in hostile.elements] == [sorted(a) for _, a in harmless.elements]
    assert text in hostile.text


def test_what_turns_the_direction_of_a_line_is_shown_as_an_escape(repo):
    id = put(repo, notes="a\u202eb\nc", tags={"em": "\u2066x"})

    page = repo.card(id)

    assert "\u202e" not in page
    assert "a\\u202eb\nc" in page
    assert r"\u2066x" in page


def test_a_network_that_was_built_tells_the_class_of_each_layer(tmp_path):
    repo, net = Repository(tmp_path), Tiny()
    record = repo.record(repo.save(net, task="segmentation"))

    without, page = card(record, repo), card(record, repo, net=net)

    assert "<td>BatchNorm2d</td>" in page
    assert 'scope="col">class' not in without
    assert "body.1" in without


def test_weights_that_can_not_be_read_are_told_on_the_page(repo):
    id = full(repo)
    path = repo.store.path / blob_key(repo.record(id).component("head").blob.sha256)
    path.unlink()

    text = text_of(repo.card(id))

    assert re.search(r"the blob [0-9a-f]{64} is missing", text)
    assert "backbone.layer" in text


def test_a_parent_that_is_gone_is_told(repo):
    assert f"isn't here {first_id(1)}" in text_of(repo.card(put(repo, parent=first_id(1))))


def test_parents_in_a_ring_end(repo):
    ids = [first_id(10), first_id(11)]
    for id, parent in zip(ids, reversed(ids), strict=True):
        put(repo, {"": weights()}, id=id, parent=parent)

    assert repo.card(ids[0]).count(f'<code class="soft">{ids[1]}</code>') == 1


def test_without_jinja2_the_extra_is_named(repo, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)

    with pytest.raises(ImportError, match=r"jinja2 is not installed.*\.\[checkpoints\]"):
        repo.card(put(repo))


# --- in a real browser


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright isn't installed; `make browser` does")
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip(f"none of {', '.join(BROWSERS)} is installed; `make browser` installs one where it can")
    arguments = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=arguments)
        yield started
        started.close()


@pytest.fixture
def show(browser, repo, tmp_path):
    """Shows a card; afterwards nothing may have been said on the console, failed, or asked for from anywhere."""
    contexts, said, asked, file = [], [], [], tmp_path / "card.html"

    def opened(id, **settings):
        file.write_text(repo.card(id), "utf-8")
        context = browser.new_context(**{"viewport": {"width": 1200, "height": 900}, **settings})
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(file.as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
    assert said == []
    assert asked == [file.as_uri()] * len(contexts)


@pytest.mark.long
@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_runs_in_a_browser(show, repo, text):
    page = show(full(repo, text))

    assert page.evaluate("typeof window.hacked") == "undefined"
    assert text in page.locator("body").inner_text()


@pytest.mark.long
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("settings", [{}, PHONE], ids=["desk", "phone"])
def test_it_fits_the_screen_and_can_be_read_in_light_and_dark(show, repo, scheme, settings):
    from tests.tools.test_page_browser import CONTRAST, LOW_CONTRAST

    page = show(full(repo, "a long text without any space " + 60 * "x"), color_scheme=scheme, **settings)

    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert page.evaluate(LOW_CONTRAST, CONTRAST) == []


@pytest.mark.long
def test_a_wide_table_scrolls_inside_its_own_box(show, repo):
    page = show(full(repo), **PHONE)

    scrolled = page.locator(".scroller").last.evaluate("box => { box.scrollLeft = 50; return box.scrollLeft; }")

    assert scrolled > 0
