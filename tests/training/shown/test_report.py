"""The report of a run: what stands on it, of whole runs and of broken ones; nothing in it runs."""

import base64
import io
import re

import pytest
from PIL import Image

from mcore.training.shown import report, runs
from tests.training.shown import made

HOSTILE = (
    "<script>window.hacked=1</script>",
    "'\"><img src=x onerror=window.hacked=1>",
    "{{7*7}}",
    "</style><script>window.hacked=1</script>",
)


def page(folder):
    return report.write(folder).read_text()


def text_of(html):
    """What a page says, without its style and tags."""
    plain = re.sub(r"<style>.*?</style>|<[^>]+>", " ", html, flags=re.DOTALL)
    return " ".join(plain.split())


def uris(html):
    return re.findall(r'src="(data:[^"]+)"', html)


def test_a_run_that_is_done_tells_its_best_its_time_and_its_size(tmp_path):
    text = text_of(page(made.folder(tmp_path / "cells", made.events())))

    assert text.startswith("cells cells This run went through all its steps. 0.7501 best mask.iou, epoch 9")
    assert "400 steps 0:06:12 time 11,170,240 parameters" in text


def test_the_best_validation_is_marked_by_the_rule_of_the_checkpoints(tmp_path):
    events = [
        made.start(),
        *(made.validation(at, **{"mask.iou": v, "loss": v}) for at, v in enumerate((0.5, 0.9, 0.7))),
    ]

    text = text_of(page(made.folder(tmp_path, events)))

    assert "★ is the best by greatest mask.iou." in text
    assert "★ 1 80 0.9" in text


@pytest.mark.parametrize(
    ("section", "rule"),
    [
        (
            "{checkpoints: {rule: 'max:validation.iou'}, early_stopping: {metric: 'min:validation.dice'}}",
            ("max", "iou"),
        ),
        ("{early_stopping: {metric: 'min:validation.dice'}}", ("min", "dice")),
        ("{early_stopping: {patience: 3}}", ("min", "loss")),
        ("{}", ("min", "loss")),
    ],
)
def test_the_best_is_by_what_keeps_checkpoints_or_stops_early_or_by_the_loss(tmp_path, section, rule):
    made.folder(tmp_path, [made.start()], config=f"train: {section}")

    assert runs.read(tmp_path).rule == rule


def test_a_validation_that_was_done_again_counts_once(tmp_path):
    events = [made.start(), made.validation(0, loss=0.5), made.start(step=20), made.validation(0, loss=0.25)]

    run = runs.read(made.folder(tmp_path, events))

    assert [one["metrics"] for one in run.validations.values()] == [{"loss": 0.25}]
    assert len(run.starts) == 2


def test_a_metric_that_is_not_finite_is_never_the_best(tmp_path):
    events = [made.start(), made.validation(0, loss=float("nan")), made.validation(1, loss=0.5)]

    folder = made.folder(tmp_path, events, config=None)

    assert runs.read(folder).best == 80
    assert "0 40 not finite" in text_of(page(folder))


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("done", "This run went through all its steps."),
        ("early stopping", "This run stopped early: it no longer became better."),
        ("stopped", "This run was stopped; the same command goes on with it."),
        ("a loss that isn't finite", "This run ended: a loss that isn&#39;t finite."),
        (None, "This run has not ended: it still runs, or was stopped from outside; the same command goes on with it."),
    ],
)
def test_why_it_ended_is_told(tmp_path, reason, told):
    assert told in text_of(page(made.folder(tmp_path, made.events(2, reason=reason))))


def test_a_run_that_goes_on_after_it_was_stopped_has_not_ended(tmp_path):
    folder = made.folder(tmp_path, [*made.events(1, reason="stopped"), made.start(step=40, resumed=True)])

    assert runs.read(folder).end is None


def test_the_curves_are_drawn_in_the_page(tmp_path):
    html = page(made.folder(tmp_path, made.events()))

    titles = re.findall(r"<figcaption><strong>([^<]+)", html)
    assert titles == [
        *["loss", "mask.iou", "label.accuracy", "mask.cross_entropy", "mask.dice", "label.cross_entropy"],
        *["learning rate", "norm of the gradients", "samples a second"],
    ]
    assert 'aria-label="loss, training 0.2504 at last, validation 0.3592 at last"' in html


def test_a_loss_of_one_part_is_drawn_once(tmp_path):
    steps = [made.step(10 * at, losses={"cross_entropy": 0.5}) for at in range(1, 4)]
    events = [made.start(), *steps, made.validation(0, loss=0.5, cross_entropy=0.5)]

    assert "<strong>cross_entropy" not in page(made.folder(tmp_path, events))


def test_parts_of_a_loss_are_drawn_with_their_validation(tmp_path):
    steps = [made.step(10 * at, losses={"dice": 0.25, "l1": 0.5}) for at in range(1, 4)]
    events = [made.start(), *steps, made.validation(0, loss=0.5, dice=0.125, l1=0.5)]

    html = page(made.folder(tmp_path, events))

    assert 'aria-label="dice, training 0.25 at last, validation 0.125 at last"' in html


def test_a_loss_that_is_not_finite_is_counted(tmp_path):
    events = [made.start(), made.step(10), made.step(20, loss=float("nan")), made.step(30)]

    assert "1 not finite" in text_of(page(made.folder(tmp_path, events)))


def test_what_is_not_known_draws_no_curve(tmp_path):
    events = [made.start(), *(made.step(10 * at, grad_norm=None, peak_bytes=None) for at in range(1, 4))]

    html = page(made.folder(tmp_path, events))

    assert "norm of the gradients" not in html
    assert "memory" not in html


def test_learning_rates_of_one_part_are_drawn_once(tmp_path):
    events = [made.start(), made.step(10, lr=0.5, lrs={"rest": 0.5}), made.step(20, lr=0.25, lrs={"rest": 0.25})]

    assert 'aria-label="learning rate, lr 0.25 at last"' in page(made.folder(tmp_path, events))


def test_learning_rates_of_parts_are_drawn_together(tmp_path):
    events = [made.start(), made.step(10, lr=0.5, lrs={"backbone": 0.125, "head": 0.5})]

    assert "learning rate, lr 0.5 at last, backbone 0.125 at last, head 0.5 at last" in page(
        made.folder(tmp_path, events)
    )


def test_memory_is_told_in_gigabytes(tmp_path):
    events = [made.start(), made.step(10, peak_bytes=2_500_000_000)]

    assert re.search(r"memory at its peak .* GB 2\.5", text_of(page(made.folder(tmp_path, events))))


def test_the_last_and_the_first_picture_are_in_the_page(tmp_path):
    folder = made.folder(tmp_path, made.events(3))

    found = uris(page(folder))

    assert [base64.b64decode(uri.partition(",")[2]) for uri in found] == [
        (folder / "pictures" / f"epoch-{epoch:04}.png").read_bytes() for epoch in (2, 0)
    ]


def test_a_large_picture_is_made_smaller(tmp_path):
    folder = made.folder(tmp_path, made.events(1))
    Image.effect_noise((3000, 2500), 100).convert("RGB").save(folder / "pictures" / "epoch-0000.png")

    (uri,) = uris(page(folder))

    with Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))) as image:
        assert image.size == (2000, 1667)
    assert len(uri) < 3_000_000


@pytest.mark.parametrize("file", ["../secret.png", "/etc/hostname", "pictures/none.png"])
def test_only_pictures_of_the_run_get_into_the_page(tmp_path, file):
    Image.new("L", (4, 4)).save(tmp_path / "secret.png")
    folder = made.folder(tmp_path / "run", [made.start()])
    made.Log(folder, resume_step=10**6).write(event="pictures", step=1, epoch=0, file=file)

    assert uris(page(folder)) == []


def test_layers_configuration_versions_and_starts_are_told(tmp_path):
    text = text_of(page(made.folder(tmp_path, made.events(1))))

    assert "2 layers, 11,170,240 parameters, 114,606,080 multiply-adds" in text
    assert "backbone.conv1 Conv2d 1 x 64 x 32 x 32 3,136 2,408,448" in text
    assert "losses: {mask: [cross_entropy, dice], label: cross_entropy}" in text
    assert "2026-11-28 20:00:00 0 cpu 1 none float32 11,170,240" in text
    assert "torch 2.13.0" in text


def test_parameters_that_are_not_trained_are_told(tmp_path):
    text = text_of(page(made.folder(tmp_path, [made.start(trained=1000)])))

    assert "1,000 of 11,170,240" in text


def test_the_name_of_the_configuration_is_the_title(tmp_path):
    folder = made.folder(tmp_path, [made.start()], config="train: {name: membranes}")

    assert "<title>membranes</title>" in page(folder)


def test_a_run_that_has_hardly_begun_has_a_page(tmp_path):
    folder = made.folder(tmp_path, [made.start()], config=None, pictures=False, model=False)

    assert "This run has not ended" in page(folder)


def test_a_configuration_that_somebody_broke_is_shown_as_it_is(tmp_path):
    assert "a: [b" in page(made.folder(tmp_path, [made.start()], config="a: [b"))


def test_a_broken_table_of_layers_is_refused_by_name(tmp_path):
    folder = made.folder(tmp_path, [made.start()])
    (folder / "model.json").write_text("{")

    with pytest.raises(ValueError, match=r"model\.json isn't JSON.*delete it, and the report has no table of layers"):
        report.write(folder)


def test_a_folder_without_a_log_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"log\.jsonl"):
        report.write(tmp_path)


def test_the_same_run_gives_the_same_page(tmp_path):
    folder = made.folder(tmp_path, made.events(2))

    assert page(folder) == page(folder)


def test_hostile_texts_are_escaped(tmp_path):
    text = "".join(HOSTILE)
    folder = made.folder(tmp_path, hostile_events(text), config=f"train: {{name: {made.json.dumps(text)}}}")
    (folder / "model.json").write_text(f'{{"layers": [{{"path": {made.json.dumps(text)}}}], "parameters": 1}}')

    html = page(folder)

    assert "<script" not in html
    assert "onerror=window.hacked=1>" not in html
    assert html.count("{{7*7}}") >= 5
    assert html.count("</style>") == 1


def hostile_events(text):
    """A run that is called so in every place."""
    return [
        made.start(device=text, strategy=text, time=text, versions={text: text}),
        made.step(10, losses={text: 1.0, "b": 2.0}, lrs={text: 1.0}),
        made.validation(0, **{text: 0.5}),
        {"event": "checkpoint", "step": 40, "id": text},
        {"event": "end", "step": 40, "epoch": 0, "reason": text, "seconds": 1.0},
    ]


def test_what_would_turn_the_direction_of_a_line_is_shown_as_an_escape(tmp_path):
    folder = made.folder(tmp_path, [made.start(device="a\u202eb")])

    assert "a\\u202eb" in page(folder)


def test_the_page_loads_nothing_and_its_policy_allows_its_style_alone(tmp_path):
    html = page(made.folder(tmp_path, made.events(1)))

    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', html)[1]
    assert re.fullmatch(
        r"default-src 'none'; style-src 'sha256-[\w+/=]+'; img-src data:; base-uri 'none'; form-action 'none'", policy
    )
    assert not re.search(r'(src|href)="(?!data:)', html)
    assert "style=" not in html


def test_without_jinja2_the_message_has_the_command(tmp_path, monkeypatch):
    folder = made.folder(tmp_path, [made.start()])
    monkeypatch.setitem(__import__("sys").modules, "jinja2", None)

    with pytest.raises(ImportError, match=r'jinja2 is not installed.*pip install "\.\[train\]"'):
        report.write(folder)
