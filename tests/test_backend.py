"""The choice of the engine: what is read, when, and what is said where it cannot be."""

import re

import pytest

from tests.isolation import failure, run

TELL = "import mcore; print(mcore.backend())"


@pytest.mark.parametrize("value", [None, "", "  "])
def test_unset_or_empty_means_torch_where_torch_is_installed(value):
    assert run(TELL, engine=value) == "torch"


def test_unset_means_the_platform_where_torch_is_not_installed():
    assert run(TELL, without=["torch"]) == "platform"


@pytest.mark.parametrize("value", ["torch", "TORCH", " Torch "])
def test_case_and_spaces_do_not_matter(value):
    assert run(TELL, engine=value) == "torch"


def test_the_platform_is_chosen_by_name():
    assert run(TELL, engine="platform") == "platform"


@pytest.mark.parametrize(("value", "near"), [("pytorch", "torch"), ("Platfrom", "platform"), ("onnx", "torch")])
def test_an_unknown_value_is_named_with_its_source_the_choices_and_the_nearest(value, near):
    said = failure(TELL, engine=value)

    assert said == (
        f"ValueError: MCORE_BACKEND={value!r}, from the environment, names no engine of mcore; "
        f"the choices are 'torch' and 'platform', the nearest is {near!r}."
    )


@pytest.mark.parametrize(
    ("engine", "without", "command"),
    [
        ("torch", ["torch"], r'torch cannot be found\. .* run: pip install "\.\[torch\]"$'),
        ("platform", ["onnxruntime"], r"onnxruntime cannot be found\. .* run: pip install \.$"),
        (
            "platform",
            ["onnx", "onnxruntime"],
            r"onnx and onnxruntime cannot be .* run: pip install \.$",
        ),
    ],
)
def test_a_chosen_engine_that_is_not_installed_is_an_error_with_the_install_command(engine, without, command):
    said = failure(TELL, engine=engine, without=without)

    assert re.match(f"ImportError: MCORE_BACKEND={engine}, from the environment, but {command}", said), said


def test_without_any_engine_the_commands_of_both_are_told():
    said = failure(TELL, without=["torch", "onnx", "onnxruntime"])

    assert said.endswith('run one of: torch: pip install ".[torch]"; platform: pip install .')


def test_a_change_after_the_import_is_an_error_that_says_where_mcore_was_first_imported(tmp_path):
    (tmp_path / "first.py").write_text("import math\nimport mcore.vocabulary\n")

    said = failure(
        """
        import os
        import first
        os.environ["MCORE_BACKEND"] = "platform"
        import mcore
        mcore.backend()
        """,
        engine="torch",
        cwd=tmp_path,
    )

    assert "MCORE_BACKEND is 'platform' now, but mcore already runs on 'torch'" in said
    assert "first.py:2, and the engine is chosen once" in said


@pytest.mark.parametrize("value", ["", "TORCH", "torch"])
def test_a_value_that_asks_for_nothing_else_is_no_change(value):
    code = f"import mcore, os; os.environ['MCORE_BACKEND'] = {value!r}; print(mcore.backend())"

    assert run(code, engine="torch") == "torch"


def test_the_choice_is_made_without_importing_torch():
    assert run("import mcore, sys; print('torch' in sys.modules)", engine="platform") == "False"


@pytest.mark.parametrize("engine", ["torch", "platform"])
def test_both_engines_import_side_by_side_whichever_speaks(engine):
    code = "import mcore.torch, mcore.platform; print(mcore.torch.Tensor is mcore.platform.Tensor)"

    assert run(code, engine=engine) == "False"


@pytest.mark.parametrize("engine", ["torch", "platform"])
@pytest.mark.parametrize("name", ["functional", "init", "linalg", "module"])
def test_a_namespace_is_the_same_however_it_is_imported(engine, name):
    code = f"""
    import mcore
    first = mcore.{name}
    from mcore import {name} as second
    import mcore.{name} as third
    print(first is second is third)
    """

    assert run(code, engine=engine) == "True"


@pytest.mark.parametrize("engine", ["torch", "platform"])
def test_every_public_name_of_the_vocabulary_is_there(engine):
    code = """
    import mcore
    from mcore import vocabulary as v
    rows = [(mcore, v.CONTAINERS + v.LAYERS + v.TOP + v.DTYPES), (mcore.functional, v.FUNCTIONAL)]
    rows += [(mcore.init, v.INIT), (mcore.linalg, v.LINALG), (mcore.module, v.CONTAINERS)]
    print([f"{space.__name__}.{w}" for space, words in rows for w in words if w not in space.__all__])
    """

    assert run(code, engine=engine) == "[]"


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("Conv2D", "mcore.Conv2D: the platform engine has no such word; .*MCORE_BACKEND=torch.*mcore.Conv2d"),
        ("CTCLoss", "mcore.CTCLoss: .*torch's CTCLoss has no ONNX meaning: ONNX has no dynamic programming"),
        ("functional.ctc_loss", "mcore.functional.ctc_loss: .*no dynamic programming over alignments"),
    ],
)
def test_the_platform_names_a_word_it_lacks_why_and_the_nearest(word, said):
    got = failure(f"import mcore; mcore.{word}", engine="platform")

    assert re.match(f"AttributeError: {said}", got), got


def test_the_engine_loads_with_the_first_word_and_not_before():
    said = run(
        """
        import sys, mcore
        from mcore import registry
        registry.available("neck")
        before = "torch" in sys.modules
        mcore.Conv2d
        print(before, "torch" in sys.modules)
        """,
        engine="torch",
    )

    assert said == "False True"


def test_a_star_import_brings_the_words_and_nothing_else():
    said = run(
        """
        from mcore import *
        print("Conv2d" in globals(), "importlib" in globals())
        """,
        engine="platform",
    )

    assert said == "True False"
