"""What holds for every component: one test, over the rows of the catalogue."""

import importlib
import inspect
import pkgutil
import re

import numpy as np
import pytest

import mcore
import models
from mcore import registry
from mcore.signatures import signature
from models.catalog import NAMES
from models.catalog_convnet import CONVNET
from models.utils.maps import OfMaps
from tests.isolation import converse
from tests.models import keys
from tests.models.catalog import CATALOG, EXEMPT
from tests.models.running import arguments, build, filled, outputs, tensors


def _param(entry):
    return pytest.param(entry, id=entry.id, marks=[pytest.mark.long] if entry.long else [])


rows = pytest.mark.parametrize("entry", [_param(entry) for entry in CATALOG])
trains = pytest.mark.skipif(mcore.backend() != "torch", reason="only the torch engine has gradients")

# Single precision: 1e-4 of the largest value for networks of a hundred layers, which add up their roundings.
DEEP = 1e-4


def _places():
    """Kind, name, versions and place of every part that the registry knows of us, of namespaces too."""
    for kind in registry.KINDS:
        for name, target in (NAMES[kind] | CONVNET.get(kind, {})).items():
            for versions, place in (target if isinstance(target, dict) else {None: target}).items():
                yield kind, name, versions, place


PLACES = [*_places()]


def test_every_name_of_the_registry_has_a_row_or_is_exempt():
    rows = {(e.kind, e.name, registry.lookup(e.name, e.kind, version=e.version).target) for e in CATALOG}

    named = {(kind, name, place) for kind, name, _, place in PLACES if place.replace(":", ".") not in EXEMPT}
    assert named == rows


def test_every_public_class_is_in_the_catalogue_or_exempt():
    rows = {registry.lookup(e.name, e.kind, version=e.version).target.replace(":", ".") for e in CATALOG}

    public = set()
    for info in pkgutil.walk_packages(models.__path__, "models."):
        for name, value in vars(importlib.import_module(info.name)).items():
            own = inspect.isclass(value) and value.__module__ == info.name
            if own and not name.startswith("_"):
                public.add(f"{info.name}.{name}")

    assert public - rows == set(EXEMPT)


def _documented():
    """Constructors by kind, name and versions; words of torch have its own pages."""
    for kind, name, versions, _ in PLACES:
        version = versions and versions.lstrip("<>=")
        yield (kind, name, versions), registry.lookup(name, kind, version=version).load()
    for kind in ("layer", "tool"):
        for name, place in CONVNET[kind].items():
            if not place.startswith("mcore:"):
                yield (kind, name, None), registry.lookup(name, kind).load()


CONSTRUCTORS = dict(_documented())


@pytest.mark.parametrize(("kind", "name", "versions"), CONSTRUCTORS)
def test_every_argument_is_told_of(kind, name, versions):
    constructor = CONSTRUCTORS[kind, name, versions]
    told = re.search(r"^Args:\n(.*?)(?:\n\n|\Z)", inspect.getdoc(constructor), re.DOTALL | re.MULTILINE)

    names = re.findall(r"^ {4}(\w+):", told.group(1), re.MULTILINE) if told else ()
    assert set(signature(constructor).parameters) <= set(names)


@rows
def test_a_component_takes_another_size_and_batch(entry):
    net = build(entry).eval()

    first = tensors(net(arguments(entry, entry.shapes)))
    again = tensors(net(arguments(entry, entry.again)))

    assert [x.shape[0] for x in again] == [entry.again[0][0]] * len(first)


@rows
def test_features_tell_the_channels_and_strides_of_what_comes(entry):
    net = build(entry).eval()
    if not getattr(net, "features", None):
        pytest.skip("gives no maps")

    maps = net(arguments(entry, entry.again))

    first = entry.again[0][2:]
    base = 1 if entry.kind == "backbone" else net.features[0][1]
    assert [int(x.shape[1]) for x in maps] == [channels for channels, _ in net.features]
    if getattr(net, "rounds_up", True):
        sizes = [tuple(-(-pixels // (stride // base)) for pixels in first) for _, stride in net.features]
        assert [tuple(map(int, x.shape[2:])) for x in maps] == sizes


# A bias before a norm has a gradient of rounding alone, which may be nothing for one draw of weights.
DRAWS = 4


@trains
@rows
def test_gradients_reach_every_parameter(entry):
    if not list(build(entry).parameters()):
        pytest.skip("has no parameters")

    unreached = _unreached(entry, 0)
    for seed in range(1, DRAWS):
        unreached &= _unreached(entry, seed) if unreached else set()

    assert unreached == set()


def _unreached(entry, seed):
    """Names of parameters without a gradient, for one draw of weights."""
    mcore.manual_seed(seed)
    net = build(entry).train()
    sum((x * mcore.rand_like(x)).sum() for x in tensors(net(arguments(entry, entry.again)))).backward()
    return {name for name, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0}


@rows
def test_a_component_is_built_again_from_its_configuration(entry):
    net = build(entry)
    if not hasattr(net, "config"):
        pytest.skip("a block; it stands in no configuration by itself")

    again = models.from_config(net.config())

    assert again.config() == net.config()
    shapes = {key: tuple(value.shape) for key, value in net.state_dict().items()}
    assert {key: tuple(value.shape) for key, value in again.state_dict().items()} == shapes


@rows
def test_a_misspelt_argument_builds_nothing(entry):
    with pytest.raises(TypeError, match=f"{entry.name} has no argument 'in_chanels'"):
        build(entry, in_chanels=1)


@rows
def test_a_component_gives_the_same_twice(entry):
    net, fed = filled(entry), arguments(entry, entry.again)

    first, second = tensors(net(fed)), tensors(net(fed))

    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a.detach().numpy(), b.detach().numpy())


def exportable(entry, net):
    """The component as `toplatform` takes it."""
    return OfMaps(net).eval() if entry.by_maps else net


@rows
def test_a_component_exports_once_for_all_sizes_and_comes_back(entry, tmp_path):
    net = exportable(entry, filled(entry))
    third = tuple((3, *shape[1:]) for shape in entry.shapes)
    fed = [arguments(entry, shapes) for shapes in (entry.shapes, entry.again, third)]

    artifact = mcore.toplatform(
        net,
        tmp_path / "net",
        inputs=[x if entry.by_maps else (x,) for x in fed],
        strict=True,
        description=False,
    )

    assert artifact.report.largest < DEEP
    free = [set(artifact.report.axes[value.name]) for value in artifact.model.graph.input]
    assert all(axes >= {0, *range(2, len(shape))} for axes, shape in zip(free, entry.shapes, strict=True))
    again = exportable(entry, build(entry))
    again.load_platform(tmp_path / "net")
    for (key, value), (name, expected) in zip(again.state_dict().items(), net.state_dict().items(), strict=True):
        assert key == name
        np.testing.assert_array_equal(value.numpy(), expected.numpy(), err_msg=key)


@rows
def test_names_of_the_state_are_those_recorded(entry):
    """Files of weights are kept for years; where names change on purpose: python -m tests.models.keys."""
    assert keys.digest(build(entry)) == keys.recorded()[entry.id]


# What torch says of one value for each channel, whose spread nobody can tell.
ONE_VALUE = re.compile("Expected more than 1 (value per channel|spatial element)")


@rows
def test_a_batch_of_one_trains_unless_norms_see_one_value_alone(entry):
    net = build(entry).train()
    shapes = tuple((1, *shape[1:]) for shape in entry.again)

    sizes, refused = [], ""
    try:
        sizes = [int(x.shape[0]) for x in tensors(net(arguments(entry, shapes)))]
    except ValueError as error:
        refused = str(error)

    assert ONE_VALUE.search(refused) or set(sizes) == {1}


@trains
@rows
def test_channels_last_gives_the_same(entry):
    if len(entry.shapes[0]) != 4:
        pytest.skip("torch has a layout with channels last for images alone")
    net, fed = filled(entry), arguments(entry, entry.again)
    maps = fed if isinstance(fed, tuple) else (fed,)
    last = tuple(x.contiguous(memory_format=mcore.channels_last) for x in maps)

    with mcore.no_grad():
        expected = tensors(net(fed))
        got = tensors(net.to(memory_format=mcore.channels_last)(last if entry.by_maps else last[0]))

    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=0, atol=DEEP * float(b.abs().max()))


# One of each kind that torch's compilers are tried on: the rest is made of the same words.
SAMPLE = [
    *("network-UNet", "backbone-resnet18", "backbone-mobilenetv2_035", "backbone-convnext_atto", "neck-FPN"),
    *("head-Segmentation", "head-UNetDecoder", "attention-CBAM", "block-Bottleneck"),
]
sample = pytest.mark.parametrize("entry", [entry for entry in CATALOG if entry.id in SAMPLE], ids=lambda e: e.id)


def test_the_sample_is_there():
    assert {entry.id for entry in CATALOG} >= set(SAMPLE)


@trains
@sample
def test_torch_compiles_it_whole(entry):
    import torch

    net, fed = filled(entry), arguments(entry, entry.again)

    got = torch.compile(net, backend="eager", fullgraph=True)(fed)

    for a, b in zip(tensors(got), tensors(net(fed)), strict=True):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-5, atol=1e-5)


@trains
@sample
def test_torch_traces_it(entry):
    import torch

    net, fed = exportable(entry, filled(entry)), arguments(entry, entry.again)
    maps = fed if entry.by_maps else (fed,)

    traced = torch.jit.trace(net, maps)

    for a, b in zip(tensors(traced(*maps)), tensors(net(*maps)), strict=True):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-5, atol=1e-5)


@pytest.fixture(scope="session")
def platform(tmp_path_factory):
    """Gives a row's results on the platform, from a process where torch cannot be imported."""
    code = "from tests.models.running import serve; serve()"
    path = tmp_path_factory.mktemp("parity") / "results.npz"
    running = []

    def results(entry):
        # One that ended took its row with it, and no other.
        if not running or running[-1].poll() is not None:
            running.append(converse(code, engine="platform", without=["torch"]))
        there = running[-1]
        there.stdin.write(f"{CATALOG.index(entry)} {path}\n")
        there.stdin.flush()
        assert there.stdout.readline().strip() == str(path), "the process on the platform ended"
        return dict(np.load(path))

    yield results
    # It may hold much by now, and nothing of it is needed any more.
    for there in running:
        there.kill()
        there.communicate()


@rows
def test_the_platform_gives_what_torch_gives(entry, platform):
    _compare(entry, platform(entry))


def _compare(entry, got):
    """Compares the platform's results of a row with this engine's.

    Raises:
        AssertionError: the platform failed, or a value differs by more than `DEEP` of the largest.
    """
    assert f"{entry.id}.error" not in got, str(got.get(f"{entry.id}.error"))
    for name, expected in outputs(entry).items():
        np.testing.assert_allclose(got[name], expected, rtol=0, atol=DEEP * np.abs(expected).max(), err_msg=name)
