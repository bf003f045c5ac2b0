"""Files that extend each other, variables, overrides; every mistake at once, with its place."""

import pickle

import pytest

from mcore.config import ConfigError, read


def write(folder, **files):
    """Files of a configuration; the path of the first."""
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder / f"{next(iter(files))}.yaml"


def test_mappings_merge_lists_replace_and_later_files_win(tmp_path):
    path = write(
        tmp_path,
        top="extends: [one.yaml, two.yaml]\nmodel: {b: 3}\n",
        one="model: {a: 1, b: 1, c: [1, 2]}\n",
        two="model: {b: 2, c: [3]}\n",
    )

    assert read(path).data == {"model": {"a": 1, "b": 3, "c": [3]}}


def test_another_type_takes_nothing_from_the_one_before(tmp_path):
    path = write(tmp_path, top="extends: base.yaml\nmodel: {type: A}\n", base="model: {type: B, width: 3}\n")

    assert read(path).data == {"model": {"type": "A"}}


def test_files_that_extend_each_other_are_refused(tmp_path):
    path = write(tmp_path, top="extends: base.yaml\n", base="extends: top.yaml\n")

    with pytest.raises(ConfigError, match=r"files extend each other: .*top.yaml -> .*base.yaml -> .*top.yaml"):
        read(path)


def test_a_missing_file_is_named_with_the_place_that_extends_it(tmp_path):
    path = write(tmp_path, top="mcore: 1\nextends: none.yaml\n")

    with pytest.raises(ConfigError, match=r"top.yaml:2:1: extends: .*none.yaml can't be read"):
        read(path)


def test_references_keep_the_type_and_join_into_text():
    config = read({"vars": {"n": 3, "all": ["${vars.n}"]}, "a": "${vars.n}", "b": "x${vars.n}", "c": "${vars.all}"})

    assert (config.data["a"], config.data["b"], config.data["c"]) == (3, "x3", [3])


def test_a_doubled_dollar_is_no_reference():
    assert read({"a": "$${b}"}).data == {"a": "${b}"}


def test_a_reference_to_nothing_says_what_is_near(tmp_path):
    path = write(tmp_path, top='vars: {classes: 3}\nmodel: {n: "${vars.clases}"}\n')

    with pytest.raises(ConfigError, match=r"top.yaml:2:9: model.n: .*vars.clases.*did you mean 'vars.classes'"):
        read(path)


@pytest.mark.parametrize("data", [{"a": "${b}", "b": "${a}"}, {"a": "${a}"}, {"a": {"b": "${a}"}}, {"a": ["${a[0]}"]}])
def test_references_in_a_loop_are_refused(data):
    with pytest.raises(ConfigError, match="leads back to itself"):
        read(data)


def test_references_that_explode_are_refused():
    data = {"a0": "x", **{f"a{n}": f"${{a{n - 1}}}${{a{n - 1}}}" for n in range(1, 30)}}

    with pytest.raises(ConfigError, match="more than 10000 references"):
        read(data)


def test_overrides_are_read_like_the_file_below_model_or_whole():
    config = read(
        {"model": {"head": {"n": 1}}, "train": {"epochs": 1}},
        ["head.n=5", "train.epochs=3", "train.rate=1e-5", "neck={type: FPN}"],
    )

    assert config.data == {
        "model": {"head": {"n": 5}, "neck": {"type": "FPN"}},
        "train": {"epochs": 3, "rate": 1e-5},
    }


def test_an_override_takes_a_value_away():
    assert read({"model": {"a": 1, "neck": 2}}, ["~neck"]).data == {"model": {"a": 1}}


def test_an_override_of_a_bare_name_keeps_the_name_as_the_type():
    assert read({"model": {"neck": "FPN"}}, ["neck.channels=3"]).data["model"]["neck"] == {
        "type": "FPN",
        "channels": 3,
    }


def test_overrides_take_effect_before_references():
    assert read({"vars": {"n": 1}, "model": {"n": "${vars.n}"}}, ["vars.n=2"]).data["model"] == {"n": 2}


@pytest.mark.parametrize("text", ["head", "=3", "a..b=3", "~a=3"])
def test_what_is_no_override_is_refused(text):
    with pytest.raises(ConfigError, match="an override is written path=value"):
        read({"model": {}}, [text])


def test_the_place_of_an_override_tells_what_it_took_the_place_of(tmp_path):
    path = write(tmp_path, top="model:\n  depth: 50\n")

    origin = read(path, ["depth=51"]).origin(("model", "depth"))

    assert str(origin) == f"{path}:2:3, overridden by depth=51"


@pytest.mark.parametrize("version", [2, "1", True, None])
def test_another_format_version_is_refused(version):
    with pytest.raises(ConfigError, match=r"format version .*, but this mcore reads 1"):
        read({"mcore": version})


def test_a_mapping_that_is_read_stays_as_it_was():
    data = {"vars": {"n": 1}, "model": {"a": "${vars.n}"}}

    read(data, ["a=2"])

    assert data == {"vars": {"n": 1}, "model": {"a": "${vars.n}"}}


def test_a_section_is_checked_against_the_parameters_of_its_class(tmp_path):
    class Train:
        def __init__(self, epochs: int, rate: float = 0.1) -> None:
            self.epochs, self.rate = epochs, rate

    path = write(tmp_path, top="train:\n  epohcs: 3\n  rate: fast\n")

    with pytest.raises(ConfigError) as caught:
        read(path).section("train", Train)

    assert str(caught.value).replace(f"{tmp_path}/", "") == (
        "top.yaml:1:1: train: train needs the argument 'epochs'\n"
        "top.yaml:2:3: train.epohcs: train has no argument 'epohcs' (did you mean 'epochs'?)\n"
        "top.yaml:3:3: train.rate: train: rate='fast' is text; float fits\n"
        "3 mistakes, nothing was built"
    )


def test_an_error_travels_between_processes():
    with pytest.raises(ConfigError, match="leads back") as caught:
        read({"a": "${a}"})

    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
