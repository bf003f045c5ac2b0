"""Devices are found by name: the project's own, and those that other packages announce."""

import json
import textwrap
import tomllib

import pytest

from mcore.devices import Device, UnknownDevice, ask, devices, find
from mcore.devices.finding import GROUP, OWN
from tests.isolation import ROOT, run

LISTED = """
    import json
    from mcore.devices import devices
    print(json.dumps({name: [device.title, device.available(), device.reason] for name, device in devices().items()}))
"""
GOOD = """
    from mcore.devices import Device

    class Chip(Device):
        name, title = "chip", "A chip"

        def version(self):
            return "7"

        def load(self, artifact):
            self.loaded = artifact

        def run(self, inputs):
            return list(inputs)
"""


def package(folder, name, source, **points):
    """A package that is installed in `folder` and announces devices."""
    (folder / f"{name}.py").write_text(textwrap.dedent(source))
    facts = folder / f"{name}-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = [f"{point} = {place}" for point, place in points.items()]
    (facts / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *lines]) + "\n")


def listed(folder, engine="platform"):
    return json.loads(run(LISTED, engine=engine, environment={"PYTHONPATH": str(folder)}))


def test_the_projects_own_come_first_and_in_order():
    assert list(devices())[: len(OWN)] == list(OWN)


def test_the_installed_package_announces_what_a_clone_finds():
    announced = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"][GROUP]

    assert announced == OWN


@pytest.mark.parametrize("name", OWN)
def test_a_device_has_the_name_that_it_is_found_by_and_a_title(name):
    device = find(name)

    assert device.name == name
    assert device.title


def test_each_call_gives_devices_of_ones_own():
    assert find("reference") is not find("reference")


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(UnknownDevice, match=r"no device 'onnxruntime-cpi'; the nearest names are onnxruntime-cpu"):
        find("onnxruntime-cpi")


def test_a_name_like_no_other_is_refused_with_all():
    with pytest.raises(UnknownDevice, match=r"no device 'zzz'; there are torch-cpu, torch-cuda, .*, reference"):
        find("zzz")


@pytest.mark.parametrize("engine", ["torch", "platform"])
def test_another_package_adds_a_device(tmp_path, engine):
    package(tmp_path, "plug", GOOD, chip="plug:Chip")

    found = listed(tmp_path, engine)

    assert found["chip"] == ["A chip", True, ""]
    assert list(found)[:-1] == list(OWN)


@pytest.mark.parametrize(
    ("source", "place", "reason"),
    [
        ("raise OSError('libchip.so: not found')", "plug:Chip",
         "plug:Chip cannot be imported: OSError: libchip.so: not found"),
        ("raise SystemExit(3)", "plug:Chip", "plug:Chip cannot be imported: SystemExit: 3"),
        ("import nowhere_to_be_found", "plug:Chip",
         "plug:Chip cannot be imported: ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
        ("", "plug:Chip", "plug:Chip cannot be imported: AttributeError: module 'plug' has no attribute 'Chip'"),
        ("class Chip: pass", "plug:Chip", "plug:Chip is no class of mcore.devices.Device"),
        ("from mcore.devices import Device\nclass Chip(Device): pass", "plug:Chip",
         "plug:Chip cannot be imported: TypeError: Can't instantiate abstract class Chip"),
        (GOOD.replace('"chip"', '"chop"'), "plug:Chip",
         "plug:Chip calls itself 'chop'; its entry point must have that name"),
    ],
)  # fmt: skip
def test_a_package_at_fault_is_named_and_stops_no_other(tmp_path, source, place, reason):
    package(tmp_path, "plug", source, chip=place)

    found = listed(tmp_path)

    assert found["chip"][:2] == ["chip", False]
    assert found["chip"][2].startswith(reason)
    assert found["reference"][1] is True


def test_two_packages_of_one_device_are_both_named(tmp_path):
    package(tmp_path, "plug", GOOD.replace('"chip"', '"reference"'), reference="plug:Chip")

    assert listed(tmp_path)["reference"][1:] == [
        False,
        "announced more than once, as mcore.devices.on_reference:Reference and plug:Chip; uninstall one of them",
    ]


def test_what_cannot_be_had_says_why_when_it_is_used_all_the_same(tmp_path):
    package(tmp_path, "plug", "raise OSError('no chip')", chip="plug:Chip")
    tried = """
        from mcore.devices import find
        for use in (lambda d: d.load("."), lambda d: d.run([])):
            try:
                use(find("chip"))
            except RuntimeError as error:
                print(error)
    """

    said = run(tried, engine="platform", environment={"PYTHONPATH": str(tmp_path)})

    assert said.splitlines() == ["chip: plug:Chip cannot be imported: OSError: no chip"] * 2


def test_finding_one_imports_no_other_package(tmp_path):
    package(tmp_path, "plug", "raise SystemExit('imported')", chip="plug:Chip")

    said = run(
        "from mcore.devices import find; print(find('reference').title)",
        engine="platform", environment={"PYTHONPATH": str(tmp_path)},
    )  # fmt: skip

    assert said == "onnx's reference evaluator"


@pytest.mark.parametrize("engine", ["torch", "platform"])
def test_asking_what_is_there_imports_neither_torch_nor_openvino(engine):
    said = run(
        """
        import sys
        from mcore.devices import devices
        for device in devices().values():
            device.available(), device.version()
        print([name for name in ("torch", "openvino", "onnx", "mcore.platform.tensor") if name in sys.modules])
        """,
        engine=engine,
    )

    assert said == "[]"


def test_without_their_runtimes_devices_say_what_to_install():
    found = run(LISTED, engine=None, without=["torch", "openvino"])

    assert 'torch is not installed: pip install \\".[torch]\\"' in found
    assert 'openvino is not installed: pip install \\".[openvino]\\"' in found


def test_torch_is_a_device_of_the_torch_engine_alone():
    there = json.loads(run(LISTED, engine="torch"))
    elsewhere = json.loads(run(LISTED, engine="platform"))

    assert there["torch-cpu"][1:] == [True, ""]
    assert elsewhere["torch-cpu"][1:] == [
        False,
        "torch-cpu: only the torch engine has it, and the platform engine speaks here. "
        "Run it with MCORE_BACKEND=torch.",
    ]


class Raising(Device):
    """Somebody's device that breaks the promise not to raise."""

    name = title = "raising"

    def available(self):
        raise OSError("no such bus")

    def load(self, artifact): ...

    def run(self, inputs): ...


def test_a_device_that_raises_when_it_is_asked_is_not_available():
    asked = ask(Raising())

    assert asked == (False, "raising cannot tell whether it is available: OSError: no such bus", "")
