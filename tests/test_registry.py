"""The registry: names, versions, namespaces, specs, and errors that say what would fit."""

import pytest

from mcore import registry
from mcore.registry import UnknownComponent, available, create, lookup, register
from mcore.specs import build
from tests.isolation import run


class Wide:
    def __init__(self, width: int, *, depth: int = 2, inner: object = None) -> None:
        self.width, self.depth, self.inner = width, depth, inner


class Newer(Wide):
    pass


@pytest.fixture(autouse=True)
def own_registry(monkeypatch):
    """A registry that forgets, after each test, what the test registered."""
    fresh = registry._Registry()
    monkeypatch.setattr(registry, "_registry", fresh)
    register("block", "Wide")(Wide)


def test_a_spec_becomes_the_component_of_its_name():
    built = build({"type": "Wide", "width": 3})

    assert (type(built), built.width) == (Wide, 3)


def test_at_type_is_read_too_and_other_at_keys_are_no_arguments():
    built = build({"@type": "Wide", "width": 3, "@note": "why"})

    assert built.width == 3


def test_specs_nested_in_lists_and_mappings_are_built_first():
    built = build([{"type": "Wide", "width": 1, "inner": {"a": [{"type": "Wide", "width": 2}]}}])

    assert built[0].inner["a"][0].width == 2


def test_partial_gives_a_factory_that_builds_anew_each_time():
    factory = build({"@type": "Wide", "@mode": "partial", "inner": {"@type": "Wide", "width": 5}})

    first, second = factory(1), factory(width=2)

    assert (first.width, second.width, first.inner.width) == (1, 2, 5)
    assert first.inner is not second.inner


def test_partial_is_refused_where_the_registration_says_so():
    register("block", "Whole", partial=False)(Newer)

    with pytest.raises(ValueError, match=r"partial.* is refused for 'Whole'"):
        build({"@type": "Whole", "@mode": "partial"})


def test_versions_choose_the_class_and_hold_for_what_is_nested():
    register("block", "Cell", versions="<0.0.2")(Wide)
    register("block", "Cell", versions=">=0.0.2")(Newer)

    inner = {"@type": "Cell", "width": 1}
    built = build({"@type": "Cell", "@version": "0.0.3", "width": 1, "inner": inner})
    old = build({"@type": "Cell", "width": 1}, default_version="0.0.0")

    assert (type(built), type(built.inner), type(old)) == (Newer, Newer, Wide)


def test_versions_that_differ_must_be_named():
    register("block", "Cell", versions="<0.0.2")(Wide)
    register("block", "Cell", versions=">=0.0.2")(Newer)

    with pytest.raises(ValueError, match=r"'Cell' differs between versions \(<0.0.2, >=0.0.2\)"):
        build({"type": "Cell", "width": 1})


def test_a_version_that_none_serves_is_told_with_those_that_are():
    register("block", "Cell", versions=">=0.0.2")(Newer)

    with pytest.raises(UnknownComponent, match=r"'Cell' has no version 0.0.1; registered are >=0.0.2"):
        build({"type": "Cell", "@version": "0.0.1", "width": 1})


def test_a_version_that_is_none_is_refused():
    with pytest.raises(ValueError, match="version 'newest' of 'Wide' can't be read"):
        build({"type": "Wide", "@version": "newest", "width": 1})


def test_a_namespace_has_names_of_its_own():
    register("network", "UNet", namespace="theirs")(Wide)

    built = build({"type": "UNet", "width": 1}, namespace="theirs")

    assert type(built) is Wide
    assert available("network", namespace="theirs") == ["UNet"]


def test_a_name_in_several_kinds_is_the_first_of_their_order():
    register("head", "Both")(Wide)
    register("network", "Both")(Newer)

    assert type(build({"type": "Both", "width": 1})) is Newer
    assert type(build({"type": "Both", "width": 1}, kind="head")) is Wide


def test_an_unknown_name_lists_the_nearest():
    with pytest.raises(UnknownComponent, match="no component 'resnet51'; the nearest names are resnet50"):
        create("resnet51")


def test_an_unknown_namespace_is_told_with_those_there_are():
    with pytest.raises(UnknownComponent, match="no component 'UNet' in namespace 'connet': there is no such namespace"):
        create("connet/UNet")


def test_a_name_of_another_kind_is_said_to_be_that():
    with pytest.raises(UnknownComponent, match="no neck 'resnet50'; 'resnet50' is a backbone"):
        lookup("resnet50", "neck")


def test_an_unknown_kind_names_the_nearest():
    with pytest.raises(ValueError, match=r"kind 'bakbone' is none of .*; the nearest is 'backbone'"):
        available("bakbone")


def test_every_mistake_of_a_spec_is_told_with_its_path():
    spec = {"type": "Wide", "widht": 1, "inner": [{"type": "Wide", "width": "two"}]}

    with pytest.raises(TypeError) as caught:
        build(spec)

    assert str(caught.value) == (
        "spec.widht: Wide has no argument 'widht' (did you mean 'width'?); "
        "spec: Wide needs the argument 'width'; "
        "spec.inner[0].width: Wide: width='two' is text; int fits."
    )


def test_a_name_taken_for_the_same_versions_is_refused():
    with pytest.raises(ValueError, match=r"block 'Wide' with versions '>=0.0.0' is registered already"):
        register("block", "Wide")(Newer)


def test_a_spec_cannot_name_code():
    with pytest.raises(UnknownComponent, match=r"no component 'os\.system'"):
        build({"type": "os.system", "command": "true"})


def test_names_stand_in_the_order_of_their_numbers():
    names = [name for name in available("backbone", "resnet*") if name.removeprefix("resnet").isdigit()]

    assert names == sorted(names, key=lambda name: int(name.removeprefix("resnet")))
    assert {"resnet18", "resnet101"} <= set(names)


def test_mcore_builds_a_network_without_an_import_of_the_zoo():
    code = """
        import sys, mcore
        assert "models" not in sys.modules
        net = mcore.build({"type": "UNet", "in_channels": 1, "num_classes": 2, "channels": [2, 4]})
        print(type(net).__module__)
    """

    assert run(code) == "models.networks.unet"


def test_listing_names_imports_no_part():
    code = """
        import sys, models
        models.available()
        print([name for name in sys.modules if name.startswith("models.") and name.count(".") > 1])
    """

    assert run(code) == "[]"


def test_a_name_with_a_slash_and_no_namespace_is_unknown():
    with pytest.raises(UnknownComponent, match="'/Wide'"):
        lookup("/Wide")


def test_names_that_differ_in_case_alone_stand_in_one_order():
    for name in ("wide", "WIDE", "wIDE"):
        register("block", name)(Newer)

    assert available("block", "[wW]*") == ["WIDE", "Wide", "wIDE", "wide"]
