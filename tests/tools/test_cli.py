"""The commands: what they print, and one clear line on bad input."""

import pytest

from tools.cli import main


@pytest.fixture
def experiment(tmp_path):
    path = tmp_path / "net.yaml"
    path.write_text("model: {backbone: {type: resnet18, in_channels: 1}, head: {type: Segmentation, num_classes: 2}}")
    return str(path)


def test_list_prints_names_of_a_kind_that_are_like_a_pattern(capsys):
    code = main(["list", "backbone", "resnet*"])

    assert (code, capsys.readouterr().out.split()) == (
        0,
        ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"],
    )


def test_list_without_a_kind_prints_all_by_kind(capsys):
    main(["list"])

    assert "neck:\n  FPN\n" in capsys.readouterr().out


def test_show_prints_layers_with_shapes_parameters_and_multiply_adds(capsys):
    code = main(["show", "resnet18", "--size", "1,1,64,48", "--set", "in_channels=1"])

    lines = capsys.readouterr().out.splitlines()
    assert code == 0
    assert lines[1].split() == [
        "conv1",
        "Conv2d",
        *["1", "x", "64", "x", "32", "x", "24"],
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
    assert "list  names of backbones" in capsys.readouterr().out
