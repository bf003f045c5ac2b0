"""save_model and load_weights_file: what was written is read; components, other names; never half."""

import numpy as np
import pytest

import mcore
from mcore import BatchNorm2d, Conv2d, Linear, Module, Sequential
from mcore.checkpoint import load_weights_file, save_model
from mcore.exchange.errors import StorageError
from mcore.exchange.files import write_arrays

TORCH = mcore.backend() == "torch"


def net():
    return Sequential(Conv2d(1, 2, 3), BatchNorm2d(2))


def filled(module, value):
    module.load_state_dict({name: x * 0 + value for name, x in module.state_dict().items()})
    return module


def arrays(module):
    return {name: np.array(value.detach().numpy()) for name, value in module.state_dict().items()}


def assert_same(module, other):
    assert list(arrays(module)) == list(arrays(other))
    for name, value in arrays(module).items():
        np.testing.assert_array_equal(value, arrays(other)[name], err_msg=name)


def written(path, *parts, **named):
    """A file of the states of modules, each below its name."""
    found = {}
    for name, module in named.items():
        found |= {f"{name}.{key}": value for key, value in arrays(module).items()}
    for part in parts:
        found |= arrays(part)
    write_arrays(found, path)
    return path


# --- there and back


@pytest.mark.parametrize("name", ["net.safetensors", "net", "net.weights"])
def test_what_save_model_wrote_is_read(tmp_path, name):
    trained, made = filled(net(), 3), filled(net(), 0)
    save_model(trained, tmp_path / name)

    assert load_weights_file(made, str(tmp_path / name)) is made
    assert_same(made, trained)


@pytest.mark.parametrize("name", ["net.pt", "net.pth", "net.ckpt", "NET.PTH"])
def test_names_of_torch_get_torchs_format_on_its_engine_and_a_reason_on_the_other(tmp_path, name):
    trained, made = filled(net(), 3), filled(net(), 0)
    if TORCH:
        import torch

        save_model(trained, tmp_path / name)
        load_weights_file(made, tmp_path / name)
        assert_same(made, trained)
        assert list(torch.load(tmp_path / name, weights_only=True)) == list(trained.state_dict())
    else:
        with pytest.raises(NotImplementedError, match=r"named as a pickle.*name it \.safetensors instead"):
            save_model(trained, tmp_path / name)
        assert not list(tmp_path.iterdir())


def test_weights_are_not_written_under_a_whole_models_name(tmp_path):
    with pytest.raises(ValueError, match=r"net\.onnx is named as a whole model.*name it \.safetensors"):
        save_model(net(), tmp_path / "net.onnx")


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    save_model(filled(net(), 3), tmp_path / "net.safetensors")
    before = (tmp_path / "net.safetensors").read_bytes()
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "no space")))

    with pytest.raises(StorageError, match="Nothing was changed"):
        save_model(filled(net(), 4), tmp_path / "net.safetensors")

    assert [file.name for file in tmp_path.iterdir()] == ["net.safetensors"]
    assert (tmp_path / "net.safetensors").read_bytes() == before


def test_what_is_no_module_is_refused_by_both(tmp_path):
    with pytest.raises(TypeError, match="expected a Module, got dict"):
        save_model({}, tmp_path / "net.safetensors")
    with pytest.raises(TypeError, match="expected a Module, got dict"):
        load_weights_file({})


def test_without_a_file_the_model_stays_as_it_is():
    made = filled(net(), 5)

    assert load_weights_file(made, None) is made
    assert_same(made, filled(net(), 5))


@pytest.mark.skipif(not TORCH, reason="torch.save is torch's")
@pytest.mark.parametrize("wrap", [lambda state: state, lambda state: {"state_dict": state, "epoch": 3, "loops": {}}])
def test_a_checkpoint_of_training_and_a_bare_state_are_both_read(tmp_path, wrap):
    import torch

    trained, made = filled(net(), 3), filled(net(), 0)
    torch.save(wrap(trained.state_dict()), tmp_path / "last.ckpt")
    load_weights_file(made, tmp_path / "last.ckpt")

    assert_same(made, trained)


# --- components


class Two(Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.head = net(), Linear(2, 3)


def test_a_component_is_taken_out_of_a_larger_network(tmp_path):
    whole, made = filled(Two(), 3), filled(net(), 0)
    save_model(whole, tmp_path / "two.safetensors")
    load_weights_file(made, tmp_path / "two.safetensors", ["encoder"])

    assert_same(made, whole.encoder)


def test_a_components_name_alone_serves_as_a_list_of_one(tmp_path):
    whole, made = filled(Two(), 3), filled(net(), 0)
    save_model(whole, tmp_path / "two.safetensors")
    load_weights_file(made, tmp_path / "two.safetensors", "encoder")

    assert_same(made, whole.encoder)


def test_a_component_is_a_whole_step_of_a_name(tmp_path):
    written(tmp_path / "f.safetensors", enc=filled(net(), 1), encoder=filled(net(), 2))
    made = load_weights_file(net(), tmp_path / "f.safetensors", ["enc"])

    assert_same(made, filled(net(), 1))


def test_prefixes_can_stay(tmp_path):
    whole, made = filled(Two(), 3), filled(Two(), 0)
    save_model(whole, tmp_path / "two.safetensors")
    load_weights_file(made, tmp_path / "two.safetensors", ["head"], remove_component_prefix=False, strict=False)

    assert_same(made.head, whole.head)
    assert_same(made.encoder, filled(net(), 0))


def test_the_later_component_wins_with_a_warning(tmp_path):
    written(tmp_path / "f.safetensors", a=filled(net(), 1), b=filled(net(), 2))

    with pytest.warns(UserWarning, match="7 entries of 'b', such as 0.weight, replace those of a component before"):
        made = load_weights_file(net(), tmp_path / "f.safetensors", ["a", "b"])

    assert_same(made, filled(net(), 2))


def test_several_components_fill_one_model(tmp_path):
    written(
        tmp_path / "g.safetensors", a=_shifted(filled(Linear(1, 1), 1), "0"), b=_shifted(filled(Linear(1, 1), 2), "1")
    )
    made = load_weights_file(Sequential(Linear(1, 1), Linear(1, 1)), tmp_path / "g.safetensors", ["a", "b"])

    assert_same(made, Sequential(filled(Linear(1, 1), 1), filled(Linear(1, 1), 2)))


def _shifted(layer, name):
    holder = Module()
    setattr(holder, name, layer)
    return holder


def test_a_component_that_is_not_there_is_told_with_the_nearest(tmp_path):
    save_model(Two(), tmp_path / "two.safetensors")

    with pytest.warns(UserWarning, match=r"nothing below 'encodr' \(did you mean 'encoder'\?\)"):
        load_weights_file(net(), tmp_path / "two.safetensors", ["encodr", "encoder"])


@pytest.mark.parametrize("names", [["decoder"], []])
@pytest.mark.filterwarnings("ignore:.*nothing below")
def test_components_that_give_nothing_are_an_error_also_where_names_may_differ(tmp_path, names):
    save_model(Two(), tmp_path / "two.safetensors")

    with pytest.raises(ValueError, match=r"nothing below component_names .*; it has encoder, head"):
        load_weights_file(net(), tmp_path / "two.safetensors", names, strict=False)


# --- other names


@pytest.mark.parametrize(
    ("rules", "prefix"),
    [
        ({"old": ""}, "old"),
        ({"old.": ""}, "old"),
        ({"deep.er": ""}, "deep.er"),
        ({"old.0": "0", "old.1": "1"}, "old"),
    ],
)
def test_entries_get_other_names_by_prefix(tmp_path, rules, prefix):
    written(tmp_path / "f.safetensors", **{prefix: filled(net(), 3)})

    assert_same(load_weights_file(net(), tmp_path / "f.safetensors", remap_keys=rules), filled(net(), 3))


def test_the_longest_old_name_counts(tmp_path):
    written(tmp_path / "f.safetensors", old=Sequential(filled(Linear(1, 1), 1), filled(Linear(1, 1), 2)))
    made = load_weights_file(
        Sequential(Linear(1, 1), Sequential(Module(), Linear(1, 1))), tmp_path / "f.safetensors",
        remap_keys={"old": "1", "old.0": "0"},
    )  # fmt: skip

    assert_same(made, Sequential(filled(Linear(1, 1), 1), Sequential(Module(), filled(Linear(1, 1), 2))))


def test_entries_get_other_names_one_by_one_and_all_at_once(tmp_path):
    layer = filled(Linear(2, 2), 4)
    write_arrays({"kernel": arrays(layer)["weight"], "offset": arrays(layer)["bias"]}, tmp_path / "f.safetensors")
    made = load_weights_file(
        Sequential(Linear(2, 2)), tmp_path / "f.safetensors", remap_keys={"kernel": "0.weight", "offset": "0.bias"}
    )

    assert_same(made, Sequential(layer))


def test_an_empty_old_name_goes_before_all(tmp_path):
    save_model(filled(net(), 3), tmp_path / "f.safetensors")

    made = load_weights_file(Sequential(net()), tmp_path / "f.safetensors", remap_keys={"": "0"})

    assert_same(made[0], filled(net(), 3))


def test_other_names_hold_for_what_components_gave(tmp_path):
    written(tmp_path / "f.safetensors", part=_shifted(filled(net(), 3), "old"), other=Linear(1, 1))

    assert_same(
        load_weights_file(net(), tmp_path / "f.safetensors", ["part"], remap_keys={"old": ""}), filled(net(), 3)
    )


@pytest.mark.parametrize(
    ("asked", "match"),
    [
        ({"component_names": 3}, "component_names is a list of names, got 3"),
        ({"component_names": [0]}, r"component_names is a list of names, got \[0\]"),
        ({"remap_keys": [("a", "b")]}, "remap_keys is a mapping of old names to new ones, got .*'a'"),
        ({"remap_keys": {"0": 1}}, r"remap_keys is a mapping of old names to new ones, got \{'0': 1\}"),
    ],
)
def test_what_are_no_names_is_refused(tmp_path, asked, match):
    save_model(net(), tmp_path / "f.safetensors")

    with pytest.raises(TypeError, match=match):
        load_weights_file(net(), tmp_path / "f.safetensors", **asked)


@pytest.mark.parametrize(
    ("rules", "match"),
    [
        ({"nothing": "0"}, r"remap_keys names 'nothing', but .* gives 0\.weight"),
        ({"0": "1"}, r"'0\.weight' and '1\.weight' of .* both become '1\.weight'"),
        ({"0.weight": ""}, r"leaves nothing of the name '0\.weight'"),
    ],
)
def test_rules_that_cannot_be_meant_are_refused(tmp_path, rules, match):
    save_model(net(), tmp_path / "f.safetensors")

    with pytest.raises(ValueError, match=match):
        load_weights_file(net(), tmp_path / "f.safetensors", remap_keys=rules)


# --- nothing, or all


@pytest.mark.parametrize("strict", [True, False])
def test_a_file_that_has_nothing_for_the_model_is_an_error(tmp_path, strict):
    written(tmp_path / "f.safetensors", module=net())

    with pytest.raises(
        ValueError, match=r"none of the 7 entries .* is one of Sequential: the file has module\.0\.weight"
    ):
        load_weights_file(net(), tmp_path / "f.safetensors", strict=strict)


@pytest.mark.parametrize(
    ("there", "strict", "match"),
    [
        (lambda: Sequential(Conv2d(1, 2, 3)), True, "Missing key"),
        (lambda: Sequential(Conv2d(1, 2, 3), BatchNorm2d(2), Linear(1, 1)), True, "Unexpected key"),
        (lambda: Sequential(Conv2d(1, 2, 3), BatchNorm2d(3)), True, "size mismatch for 1.weight"),
        (lambda: Sequential(Conv2d(1, 2, 3), BatchNorm2d(3)), False, "size mismatch for 1.weight"),
    ],
)
def test_what_does_not_fit_changes_nothing(tmp_path, there, strict, match):
    made = filled(net(), 5)
    save_model(filled(there(), 3), tmp_path / "f.safetensors")

    with pytest.raises(RuntimeError, match=match):
        load_weights_file(made, tmp_path / "f.safetensors", strict=strict)

    assert_same(made, filled(net(), 5))


def test_without_strict_what_fits_is_loaded(tmp_path):
    made = filled(net(), 5)
    save_model(filled(Sequential(Conv2d(1, 2, 3)), 3), tmp_path / "f.safetensors")
    load_weights_file(made, tmp_path / "f.safetensors", strict=False)

    assert_same(made[0], filled(Conv2d(1, 2, 3), 3))
    assert_same(made[1], filled(BatchNorm2d(2), 5))


@pytest.mark.skipif(not TORCH, reason="torch.save is torch's")
@pytest.mark.parametrize(
    ("content", "match"),
    [
        ({"epoch": 3, "weights": {}}, r"holds no state.*'epoch' is a int. Its keys are epoch, weights"),
        ({"state_dict": {"a": 3}}, "'a' is a int"),
        ([1, 2], "holds a list, no state by names"),
    ],
)
def test_a_file_without_a_state_is_told(tmp_path, content, match):
    import torch

    torch.save(content, tmp_path / "f.pt")

    with pytest.raises(ValueError, match=match):
        load_weights_file(net(), tmp_path / "f.pt")


def test_a_missing_file_of_weights_is_told_with_the_nearest(tmp_path):
    save_model(net(), tmp_path / "best.safetensors")

    with pytest.raises(FileNotFoundError, match=r"the nearest names there are best\.safetensors"):
        load_weights_file(net(), tmp_path / "bset.safetensors")
