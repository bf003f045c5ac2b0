"""The builder in the convnet's namespace: what the original did with a spec, versions, refusals."""

import json
import pickle

import numpy as np
import pytest

import mcore
import models
from mcore import registry
from mcore.registry import UnknownComponent
from mcore.specs import Partial
from models.catalog_convnet import CONVNET
from models.networks import convnet, convnet_block, convnet_v0, convnet_v1
from tests.models.golden_files import FOLDER

CASES = json.loads((FOLDER / "dacapo_convnet" / "zetta_builder_cases.json").read_text())
CURRENT = (convnet.UNet, convnet_block.ConvBlock)
trains = pytest.mark.skipif(mcore.backend() != "torch", reason="only the torch engine trains")
BLOCK = {"@type": "ConvBlock", "num_channels": [1, 2, 2]}


def build(spec, **options):
    return mcore.build(spec, namespace="convnet", **options)


def told(case):
    """A name for a case of the builder's."""
    return json.dumps(case["spec"])[:60]


def outcome(value):
    """A built value as the file of cases writes it."""
    if isinstance(value, dict):
        return {key: outcome(item) for key, item in value.items()}
    if isinstance(value, mcore.Module):
        return {"module": type(value).__name__, "implementation": "current" if type(value) in CURRENT else "deprecated"}
    return value


@pytest.mark.parametrize("case", [c for c in CASES if c["outcome"].get("ok") == "module"], ids=told)
def test_a_spec_builds_what_it_built_in_the_original(case):
    expected = case["outcome"]

    net = build(case["spec"], default_version="0.0.0")

    assert type(net).__name__ == expected["cls"]
    assert [[key, [*map(int, value.shape)]] for key, value in net.state_dict().items()] == expected["state"]
    if "implementation" in expected:
        assert outcome(net)["implementation"] == expected["implementation"]


@pytest.mark.parametrize("case", [c for c in CASES if c["outcome"].get("ok") == "value"], ids=told)
def test_data_stays_data(case):
    assert outcome(build(case["spec"], default_version="0.0.0")) == case["outcome"]["value"]


@pytest.mark.parametrize("case", [c for c in CASES if c["outcome"].get("ok") == "partial"], ids=told)
def test_a_partial_keeps_its_spec(case):
    made = build(case["spec"], default_version="0.0.0")

    assert (type(made), made.spec) == (Partial, case["outcome"]["spec"])


# What the message must name, by what the original's began with.
FACTS = {
    "No matches found for name 'ConvBlock'": r"'ConvBlock' has no version 0\.0\.1\.5; registered are >=0\.0\.2, <=0",
    "Invalid version": "version 'foo' of 'ConvBlock' can't be read",
    "No matches found for name 'nope'": "no component 'nope'",
    "Unsupported mode lazy": "not 'lazy'",
    "ConvBlock.__init__() got": r"spec\.a\[1\]\.foo: ConvBlock has no argument 'foo'",
    '`"@mode": partial`': "no component 'lambda' .* text in it is never run as code",
    "`lambda_str` must": "no component 'lambda' .* text in it is never run as code",
    "Conv2d.__init__() missing": r"Conv2d needs the argument 'out_channels'; .* needs the argument 'kernel_size'",
}


@pytest.mark.parametrize("case", [c for c in CASES if "error" in c["outcome"]], ids=told)
def test_what_the_original_refused_is_refused(case):
    said = case["outcome"]["message"]
    fact = next((fact for start, fact in FACTS.items() if said.startswith(start)), 'a mapping without "@type"')

    with pytest.raises((ValueError, TypeError, UnknownComponent), match=fact):
        build(case["spec"], default_version="0.0.0")


# --- Versions -------------------------------------------------------------------------------------


def test_versions_that_differ_must_be_named():
    with pytest.raises(ValueError, match=r"'UNet' differs between versions \(>=0.0.2, ==0.0.1, <=0.0.0\) and none"):
        build({"@type": "UNet", "list_num_channels": [[1, 1]]})


@pytest.mark.parametrize(
    ("version", "expected"),
    [("0.0.0", convnet_v0.UNet), ("0.0.1", convnet_v1.UNet), ("0.0.2", convnet.UNet), ("1.4", convnet.UNet)],
)
def test_a_version_chooses_the_class(version, expected):
    assert type(build({"@type": "UNet", "@version": version, "list_num_channels": [[1, 2]]})) is expected


def test_a_type_without_versions_needs_none():
    assert type(build({"@type": "torch.nn.ReLU"})) is mcore.ReLU


def test_a_nested_partial_keeps_the_version_that_it_stood_in():
    pool = {"@type": "torch.nn.AvgPool2d", "kernel_size": 2}
    down = {"@type": "torch.nn.Sequential", "@mode": "partial", "modules": [pool, {**BLOCK, "num_channels": [2, 2]}]}
    spec = {"@type": "UNet", "@version": "0.0.2", "list_num_channels": [[1, 2], [2, 2], [2, 1]], "downsample": down}

    net = build(spec)

    assert type(net.layers[1][1]) is convnet_block.ConvBlock


def test_a_partial_builds_anew_what_is_nested_in_it():
    layer = {"@type": "torch.nn.Conv2d", "in_channels": 1, "out_channels": 1, "kernel_size": 1}
    factory = build({"@type": "torch.nn.Sequential", "@mode": "partial", "modules": [layer]})

    first, second = factory(), factory()

    assert first[0] is not second[0]


def test_a_partial_is_pickled_and_compared_by_its_spec():
    factory = build({"@type": "torch.nn.ELU", "@mode": "partial", "alpha": 0.5})

    assert pickle.loads(pickle.dumps(factory)) == factory
    assert factory().alpha == 0.5


def test_a_partials_argument_is_not_given_again():
    factory = build({"@type": "torch.nn.ELU", "@mode": "partial", "alpha": 0.5})

    with pytest.raises(TypeError, match="alpha"):
        factory(alpha=1.0)


# --- Names ----------------------------------------------------------------------------------------


def test_a_name_with_its_namespace_opens_it_for_what_is_nested():
    spec = {**BLOCK, "@type": "convnet/ConvBlock", "@version": "0.0.2"}
    activation = {"@type": "torch.nn.ELU", "@mode": "partial"}

    net = mcore.build({**spec, "activation": activation})

    assert [type(layer).__name__ for layer in net.layers] == ["Conv2d", "ELU", "Conv2d"]


def test_the_zoo_creates_names_of_a_namespace():
    net = models.create("convnet/UNet", version="0.0.2", list_num_channels=[[1, 2]])

    assert type(net) is convnet.UNet


@pytest.mark.parametrize("name", sorted(CONVNET["layer"]) + sorted(CONVNET["function"]))
def test_every_word_in_the_lists_is_there(name):
    assert callable(registry.lookup(name).load())


def test_layers_and_functions_are_the_engines():
    made = build([{"@type": "torch.nn.Conv2d", "in_channels": 1, "out_channels": 2, "kernel_size": [3, 1]}])
    soft = build({"@type": "torch.nn.functional.softmax", "@mode": "partial", "dim": 0})

    assert type(made[0]) is mcore.Conv2d
    np.testing.assert_allclose(soft(mcore.zeros(4)).numpy(), 0.25)


@pytest.mark.parametrize(
    "name",
    [
        *("torch.load", "torch.save", "torch.hub.load", "torch.jit.load", "torch.jit.script", "torch.compile"),
        *("torch.ops.load_library", "torch.utils.cpp_extension.load", "torch.from_file", "torch.export.load"),
        *("torch.manual_seed", "torch.set_default_dtype", "torch.nn.functional.relu_", "torch.nn.init.zeros_"),
        *("torch.nn.Module", "torch.nn.Module.register_forward_hook", "torch.nn.Module.__init__", "torch.Tensor"),
        *("torch.__builtins__", "torch.nn.modules.module.torch.load", "torch.optim.Optimizer", "torch.library"),
        *("lambda", "os.system", "builtins.eval", "eval", "subprocess.run", "np.load", "numpy.load", "__import__"),
        *("mcore:load", "mcore.checkpoint:load_model", "models.networks.convnet:UNet", "../torch.load"),
        *("convnet/torch.load", "_private", ""),
    ],
)
def test_a_spec_cannot_name_what_is_not_listed(name):
    with pytest.raises(UnknownComponent, match="no component"):
        build({"@type": name})


def test_no_listed_name_is_private_or_writes():
    names = [name.rpartition(".")[2] for kind in CONVNET for name in CONVNET[kind]]

    assert [name for name in names if name.endswith("_") or name.split("/")[-1].startswith("_")] == []


def test_a_program_cannot_be_trusted_by_a_spec():
    with pytest.raises(TypeError, match="load_model has no argument 'trust'"):
        build({"@type": "load_model", "path": "model.jit", "trust": True})


def test_a_spec_cannot_have_tensorrt_write_a_folder_and_run_what_lies_there():
    asked = {"tensorrt_enabled": True, "tensorrt_cache_dir": "engines", "input_shape": [1, 1, 8, 8]}

    with pytest.raises(ValueError, match="runs those that lie there, which a spec can't ask for"):
        build({"@type": "load_model", "path": "net.onnx", **asked})


@trains
def test_an_optimizer_is_torchs():
    import torch

    factory = build({"@type": "torch.optim.SGD", "@mode": "partial", "lr": 0.5})
    parameter = mcore.Parameter(mcore.ones(1))

    assert isinstance(factory([parameter]), torch.optim.SGD)


@pytest.mark.skipif(mcore.backend() != "platform", reason="the torch engine has it")
def test_an_optimizer_is_refused_where_nothing_trains():
    with pytest.raises(RuntimeError, match=r"torch.optim.SGD trains: only the torch engine has it"):
        build({"@type": "torch.optim.SGD", "@mode": "partial", "lr": 0.5})


# --- Mistakes -------------------------------------------------------------------------------------


def test_what_a_constructor_refuses_is_told_with_its_place():
    spec = {"nets": [{**BLOCK, "@version": "0.0.2", "skips": {"a": 7}}]}

    with pytest.raises(ValueError, match=r"ConvBlock: skips=.*\(while building spec\.nets\[0\], 'ConvBlock'\)$"):
        build(spec)


def test_what_a_word_refuses_is_told_with_its_place():
    with pytest.raises(RuntimeError, match=r"zeros.*\(while building spec\.modules\[0\], 'torch.zeros'\)"):
        build({"@type": "torch.nn.Sequential", "modules": [{"@type": "torch.zeros", "size": [-1]}]})


def test_what_a_factory_refuses_is_told_with_the_factorys_place():
    conv = {"@type": "torch.nn.Conv2d", "@mode": "partial", "groups": 2}

    with pytest.raises(ValueError, match=r"divisible by groups \(while building spec\.conv, 'torch\.nn\.Conv2d'\)$"):
        build({**BLOCK, "@version": "0.0.2", "conv": conv})


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"x": mcore.zeros(1)}, r"spec\.x: a value of type Tensor is no data"),
        ({"x": [object()]}, r"spec\.x\[0\]: a value of type object is no data"),
        ({"x": b"abc"}, "a value of type bytes is no data"),
        ({"x": {"@mode": "partial"}}, r'spec\.x\.@mode: it stands in a mapping without "@type"'),
        ({"@type": 3}, "a type is a name, not 3"),
        ({"@type": ["ConvBlock"]}, "a type is a name"),
    ],
)
def test_what_is_no_data_is_refused(spec, message):
    with pytest.raises(ValueError, match=message):
        build(spec)


def test_arguments_are_named_by_text():
    with pytest.raises(TypeError, match="an argument is named by text, not by 3"):
        build({"@type": "torch.nn.ReLU", 3: True})


def _deep():
    spec = {}
    for _ in range(5000):
        spec = {"a": spec}
    return spec


def _looped():
    spec = []
    spec.append([spec, spec])
    return spec


def _wide():
    spec = [0] * 10
    for _ in range(8):
        spec = [spec] * 10
    return spec


@pytest.mark.parametrize(
    ("make", "message"), [(_deep, "at most 100 deep"), (_looped, "holds itself"), (_wide, "at most 1,000,000 values")]
)
def test_a_spec_that_would_never_end_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        build(make())


def test_tuples_stay_tuples():
    assert build({"x": (1, [2])}) == {"x": (1, [2])}
