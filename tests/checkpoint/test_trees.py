"""The trees of a repository: what stands where, and in a line."""

from mcore.checkpoint.ids import first_id
from mcore.checkpoint.shown.trees import line_of, main_metrics, tree
from tests.checkpoint.made import put, record, repository

TIME = 1_764_000_000_000


def made(number, **more):
    return record(**{"id": first_id(TIME + number), "version": number, **more})


def backbone(number, network, **more):
    return made(number, kind="backbone", task="", network=network, id=first_id(TIME + 100 + number), **more)


def test_networks_stand_by_task_and_name_and_backbones_by_name():
    found = [
        made(1, metrics=[{"name": "miou", "split": "val", "value": 0.70149}], tags={"em": ""}),
        made(2, parent=first_id(TIME + 1)),
        made(1, task="detection", network="yolov4", id=first_id(TIME + 3)),
        backbone(1, "resnet50"),
    ]

    drawn = tree(found, {("networks/segmentation/UNet", "best"): found[0].id})

    assert drawn.splitlines() == [
        "backbones",
        "└─ resnet50",
        f"   └─ @1  2026-11-28  {found[3].id}",
        "networks",
        "├─ detection",
        "│  └─ yolov4",
        f"│     └─ @1  2026-11-28  {found[2].id}",
        "└─ segmentation",
        "   └─ UNet",
        f"      ├─ @1  val.miou 0.7015  @best, em  2026-11-28  {found[0].id}",
        f"      └─ @2  2026-11-28  from @1  {found[1].id}",
    ]


def test_a_parent_elsewhere_is_told_by_its_address_and_one_that_is_gone_by_its_id():
    parent = backbone(1, "resnet50")
    child, orphan = made(2, parent=parent.id), made(3, parent=first_id(1))

    assert "from backbones/resnet50@1" in tree([parent, child])
    assert f"from {first_id(1)}" in tree([orphan])


def test_versions_sort_as_numbers_and_the_newest_are_shown():
    drawn = tree([made(number) for number in (10, 2, 1, 9)], versions=2)

    assert [line.split()[1] for line in drawn.splitlines()[3:]] == ["...", "@9", "@10"]
    assert "... 2 older" in drawn


def test_a_line_has_two_metrics_the_rules_own_first_then_of_validation():
    metrics = [
        {"name": "loss", "split": "train", "value": 1},
        {"name": "acc", "split": "val", "value": 2},
        {"name": "dice", "split": "val", "value": 3},
    ]

    one = made(1, metrics=metrics, rule="min:train.loss, every:10")

    assert [metric.key for metric in main_metrics(one)] == ["train.loss", "val.acc"]
    assert [metric.key for metric in main_metrics(made(1, metrics=metrics))] == ["val.acc", "val.dice"]


def test_many_tags_are_counted_instead_of_shown():
    line = line_of(made(1, tags={f"tag{number}": "" for number in range(9)}), {})

    assert "tag5, +3" in line


def test_what_steers_a_terminal_is_escaped():
    line = line_of(made(1, tags={"em": "\u202eevil\x9b2J"}), {})

    assert line.isprintable()
    assert r"em=\u202eevil\x9b2J" in line


def test_an_empty_repository_says_so(tmp_path):
    assert repository(tmp_path).tree() == "no checkpoints"


def test_a_repositorys_tree_has_its_aliases_and_tags_as_they_are_now(tmp_path):
    repo = repository(tmp_path)
    id = put(repo, tags={"old": ""})
    repo.tag(id, "new", "yes")
    repo.untag(id, "old")
    repo.alias(id, "best")

    assert "@1  @best, new=yes  2026-11-28" in repo.tree()


def test_an_alias_that_moved_stands_at_its_checkpoint_alone(tmp_path):
    repo = repository(tmp_path)
    ids = [put(repo), put(repo)]
    for id in ids:
        repo.alias(id, "best")

    assert [line.split()[1:3] for line in repo.tree().splitlines()[3:]] == [["@1", "2026-11-28"], ["@2", "@best"]]
