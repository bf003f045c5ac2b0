"""The commands: what they print, and one clear line on bad input."""

import pytest

import mcore
import models
from tools.cli import main


@pytest.fixture
def experiment(tmp_path):
    path = tmp_path / "net.yaml"
    path.write_text("model: {backbone: {type: resnet18, in_channels: 1}, head: {type: Segmentation, num_classes: 2}}")
    return str(path)


def test_list_prints_names_of_a_kind_that_are_like_a_pattern(capsys):
    code = main(["list", "backbone", "wide_resnet*"])

    assert (code, capsys.readouterr().out.split()) == (
        0,
        ["wide_resnet50_2", "wide_resnet101_2"],
    )


def test_list_without_a_kind_prints_all_by_kind(capsys):
    main(["list"])

    assert "neck:\n  " in capsys.readouterr().out


def test_show_prints_layers_with_shapes_parameters_and_multiply_adds(capsys):
    code = main(["show", "resnet18", "--size", "1,1,64,48", "--set", "in_channels=1"])

    lines = capsys.readouterr().out.splitlines()
    assert code == 0
    assert lines[1].split() == [
        "conv1",
        "Conv2d",
        *["1", "x", "64", "x", "32", "x", "24"],
        *["7", "x", "7"],
        "3,136",
        "2,408,448",
    ]
    assert lines[-1] == "41 layers, 11,170,240 parameters, 114,606,080 multiply-adds"


def test_show_reads_a_configuration_and_overrides(experiment, capsys):
    main(["show", experiment, "--set", "head.num_classes=7", "--size", "1,1,32,32"])

    assert "head.classifier" in capsys.readouterr().out


def test_show_without_a_size_tells_the_parts(experiment, capsys):
    main(["show", experiment])

    assert "head: Segmentation(num_classes=2" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["shw"], 2, "mcore: no command 'shw' (did you mean 'show'?); see mcore --help"),
        (["list", "bakbone"], 1, "mcore list: kind 'bakbone' is none of"),
        (["list", "head", "Z*"], 1, "mcore list: no head is like 'Z*'"),
        (["show", "resnet51"], 1, "mcore show: no component 'resnet51'; the nearest names are resnet50"),
        (["show", "resnet18", "--size", "1,x"], 1, "mcore show: --size 1,x: write whole numbers with commas"),
        (["show", "resnet18", "--size", "1,4,64,64"], 1, "mcore show: Given groups=1"),
        (
            ["show", "resnet18", "--set", "in_chanels=1"],
            1,
            "resnet18 has no argument 'in_chanels' (did you mean",
        ),
        (
            ["show", "resnet18", "--set", "in_channels"],
            1,
            "mcore show: --set in_channels: write argument=value",
        ),
        (["show", "FPN"], 1, "mcore show: FPN takes its in_channels from what feeds it"),
        (["show", "none.yaml"], 1, "mcore show: none.yaml: No such file or directory"),
        (["show"], 2, "mcore show: the following arguments are required: NAME|FILE; see mcore show --help"),
        (
            ["show", "resnet18", "--sze", "1"],
            2,
            "mcore show: unrecognized arguments: --sze 1; see mcore show --help",
        ),
    ],
)
def test_bad_input_ends_with_one_line_and_a_code(words, code, message, capsys):
    assert main(words) == code

    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("command", ["list", "show"])
def test_help_shows_an_example_that_runs(command, capsys):
    main([command, "--help"])
    example = capsys.readouterr().out.partition("example:\n  mcore ")[2].strip()

    assert main([word.strip("'") for word in example.split()]) == 0


def test_help_lists_the_commands(capsys):
    assert main(["--help"]) == 0
    assert "names of backbones" in capsys.readouterr().out


def test_config_check_tells_that_a_file_fits(experiment, capsys):
    code = main(["config", "check", experiment])

    assert (code, capsys.readouterr().out) == (0, f"{experiment}: fits; 11,760,578 parameters\n")


def test_config_check_tells_every_mistake_with_its_place(tmp_path, capsys):
    path = tmp_path / "wrong.yaml"
    path.write_text("model:\n  backbone: {type: resnet19}\n  head: {type: Segmentation, num_clases: 2}\n")

    code = main(["config", "check", str(path)])

    told = capsys.readouterr().err
    assert code == 1
    assert f"{path}:2:14: model.backbone.type: no backbone 'resnet19'" in told
    assert f"{path}:3:30: model.head.num_clases: Segmentation has no argument 'num_clases'" in told


def test_config_show_prints_what_builds_the_same(experiment, tmp_path, capsys):
    main(["config", "show", experiment, "--set", "head.num_classes=5"])
    full = tmp_path / "full.yaml"
    full.write_text(capsys.readouterr().out)

    main(["config", "check", str(full)])

    assert "fits; 11,760,965 parameters" in capsys.readouterr().out


def test_config_source_prints_a_class_of_the_name_given(experiment, capsys):
    main(["config", "source", experiment, "--name", "Cells"])

    assert "class Cells(Module):" in capsys.readouterr().out


def test_config_describe_prints_the_parts_documentation(experiment, capsys):
    main(["config", "describe", experiment])

    assert "## head: Segmentation" in capsys.readouterr().out


def test_config_schema_writes_a_file(tmp_path, capsys):
    main(["config", "schema", "--out", str(tmp_path / "schema.json")])

    assert '"$schema"' in (tmp_path / "schema.json").read_text()


def test_a_plugin_registers_its_parts(tmp_path, monkeypatch, capsys):
    (tmp_path / "my_parts.py").write_text(
        "import mcore\nfrom mcore.registry import register\n\n"
        "@register('backbone', 'my_backbone')\ndef my_backbone(in_channels: int = 3):\n"
        "    net = mcore.Conv2d(in_channels, 8, 3)\n    return net\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    # Gone afterwards: other tests go through all that is registered, and look for its file.
    monkeypatch.setitem(mcore.registry._registry.entries, ("", "my_backbone"), [])
    path = tmp_path / "net.yaml"
    path.write_text("model: {type: my_backbone}")

    assert main(["config", "check", str(path), "--plugin", "my_parts"]) == 0


def test_weights_align_writes_a_table_that_loads(tmp_path, capsys):
    net = models.create("resnet18")
    path, table = tmp_path / "theirs.safetensors", tmp_path / "table.json"
    mcore.save({f"body.{key}": value for key, value in net.state_dict().items()}, path)

    code = main(["weights", "align", "resnet18", str(path), "--out", str(table)])

    assert (code, capsys.readouterr().out) == (
        0,
        f"40 layers paired, 0 of ours and 0 of theirs are left; wrote {table}\n",
    )
    again = models.create("resnet18", weights={"file": str(path), "rename": str(table)})
    assert (again.conv1.weight == net.conv1.weight).all()


def test_weights_try_tells_what_became_of_each_entry(tmp_path, capsys):
    path = tmp_path / "resnet18.safetensors"
    mcore.save(models.create("resnet18", num_classes=10).state_dict(), path)

    main(["weights", "try", "resnet18", str(path), "--set", "in_channels=1"])

    assert capsys.readouterr().out.splitlines() == [
        f"{path}: 119 matched, 0 renamed, 1 adapted, 0 skipped, 0 assumed, 0 missing, 2 unexpected; names as they are",
        "adapted     conv1.weight",
        "unexpected  fc.weight",
        "unexpected  fc.bias",
    ]


def test_weights_layouts_lists_the_tables(capsys):
    main(["weights", "layouts"])

    assert "torchvision_fcn" in capsys.readouterr().out.split()


def test_show_tells_what_each_layer_sees_and_draws_the_parts(experiment, tmp_path, capsys):
    main(["show", experiment, "--size", "1,1,64,64", "--svg", str(tmp_path / "net.svg")])

    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[9:12] == ["7", "x", "7"]
    assert "<svg" in (tmp_path / "net.svg").read_text()


def test_show_takes_a_size_for_each_input(tmp_path, capsys):
    path = tmp_path / "net.yaml"
    path.write_text(
        "model: {inputs: [a, b], parts: {x: {type: resnet18, from: a}, y: {type: resnet18, in_channels: 1, from: b},"
        " l: {type: Classification, num_classes: 2, merge: concat, from: ['x[3]', 'y[3]']}}}"
    )

    code = main(["show", str(path), "--size", "1,3,32,32", "--size", "1,1,32,32"])

    assert (code, "l.fc" in capsys.readouterr().out) == (0, True)
