"""Containers of the torch engine: kinship with torch's, what they remember, what torch does to them."""

import abc
import copy
import io
import pickle

import pytest
import torch
from torch.nn.parallel import DistributedDataParallel

from mcore.torch import Conv2d, Linear, Module, ModuleDict, ModuleList, Parameter, ReLU, Sequential
from mcore.torch import functional as F


class Net(Module):
    def __init__(self, width, *, depth=1, activation=F.relu):
        super().__init__()
        self.layers = ModuleList(Linear(width, width) for _ in range(depth))
        self.scale = Parameter(torch.ones(width))

    def forward(self, x):
        for layer in self.layers:
            x = F.relu(layer(x))
        return x * self.scale


class Forwarding(Module):
    def __init__(self, first, *rest, last=None, **options):
        super().__init__()


class Draining(Module):
    def __init__(self, widths):
        super().__init__()
        widths.clear()


def pickled(module):
    return pickle.loads(pickle.dumps(module))


@pytest.fixture
def net():
    return Net(4, depth=2)


@pytest.fixture
def x():
    return torch.randn(3, 4)


# --- Kinship --------------------------------------------------------------------------------------


@pytest.mark.parametrize("layer", [Linear(2, 3), torch.nn.Sequential(), Sequential(), torch.nn.ReLU()])
def test_every_torch_module_is_a_module(layer):
    assert isinstance(layer, Module)


def test_a_tensor_is_no_module(x):
    assert not isinstance(x, Module)


def test_a_torch_module_is_not_of_a_class_derived_from_module():
    assert not isinstance(torch.nn.Sequential(), (Sequential, Net))


def test_a_module_is_a_torch_module(net):
    assert isinstance(net, torch.nn.Module)


def test_every_torch_module_class_is_a_subclass_of_module():
    assert issubclass(Conv2d, Module)


def test_a_module_may_have_abstract_methods():
    class Abstract(Module, abc.ABC):
        @abc.abstractmethod
        def forward(self, x): ...

    with pytest.raises(TypeError, match="abstract"):
        Abstract()


# --- Slices and sums ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "made",
    [
        Sequential(ReLU(), ReLU(), ReLU())[1:],
        Sequential(ReLU()) + torch.nn.Sequential(ReLU()),
        Sequential(ReLU()) * 2,
        2 * Sequential(ReLU()),
    ],
    ids=["slice", "sum", "product", "product from the left"],
)
def test_what_is_made_of_a_sequential_is_mcores_with_two_layers(made):
    assert (type(made), len(made), list(made.state_dict())) == (Sequential, 2, [])


@pytest.mark.parametrize(
    "made",
    [ModuleList([ReLU(), ReLU(), ReLU()])[1:], ModuleList([ReLU()]) + ModuleList([ReLU()])],
    ids=["slice", "sum"],
)
def test_what_is_made_of_a_list_is_mcores_with_two_layers(made):
    assert (type(made), len(made)) == (ModuleList, 2)


def test_a_slice_shares_the_layers():
    body = Sequential(Linear(2, 2), Linear(2, 2))

    assert body[1:][0] is body[1]


def test_a_dictionary_holds_its_modules_under_their_names():
    made = ModuleDict({"a": Linear(1, 1)})

    assert list(made.state_dict()) == ["a.weight", "a.bias"]


# --- What the constructor received ----------------------------------------------------------------


def test_arguments_are_kept_by_name_without_defaults(net):
    assert net._arguments == {"width": 4, "depth": 2}


def test_star_arguments_are_kept_under_their_own_names():
    made = Forwarding(1, 2, 3, last=4, other=5)

    assert made._arguments == {"first": 1, "rest": (2, 3), "last": 4, "options": {"other": 5}}


def test_arguments_are_there_before_the_constructor_runs():
    class Asking(Module):
        def __init__(self, width):
            self_before = dict(self._arguments)
            super().__init__()
            self.before = self_before

    assert Asking(3).before == {"width": 3}


def test_what_the_constructor_does_to_a_list_is_not_seen_in_what_it_received():
    assert Draining([1, 2])._arguments == {"widths": [1, 2]}


def test_a_derived_class_keeps_its_own_arguments_not_its_parents():
    class Derived(Net):
        def __init__(self, size):
            super().__init__(width=size)

    assert Derived(5)._arguments == {"size": 5}


def test_a_wrong_argument_is_the_constructors_own_error():
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'width'"):
        Net()


def test_arguments_are_not_in_the_state(net):
    assert list(net.state_dict()) == [
        *("scale", "layers.0.weight", "layers.0.bias", "layers.1.weight", "layers.1.bias"),
    ]


def test_a_module_given_as_argument_is_not_counted_twice():
    part = Linear(2, 2)
    body = Sequential(part)

    assert (body._arguments, len(list(body.modules()))) == ({"args": (part,)}, 2)


@pytest.mark.parametrize("again", [copy.deepcopy, pickled], ids=["copy", "pickle"])
@pytest.mark.parametrize("activation", [torch.tanh, lambda x: x], ids=["importable", "lambda"])
def test_a_copy_keeps_arguments_and_results(again, activation, x):
    net = Net(4, depth=2, activation=activation)

    copied = again(net)

    assert copied._arguments["depth"] == 2
    assert torch.equal(copied(x), net(x))


def test_a_copy_has_the_modules_it_was_given_not_the_first_ones():
    body = copy.deepcopy(Sequential(Linear(2, 2)))

    assert body._arguments["args"][0] is body[0]


def test_a_saved_module_loads_with_its_arguments(net):
    buffer = io.BytesIO()
    torch.save(net, buffer)
    buffer.seek(0)

    assert torch.load(buffer, weights_only=False)._arguments == {"width": 4, "depth": 2}


# --- What torch does to a module ------------------------------------------------------------------


def test_it_compiles_without_a_break_in_the_graph(net, x):
    compiled = torch.compile(net, backend="eager", fullgraph=True)

    torch.testing.assert_close(compiled(x), net(x))


def test_asking_for_a_module_inside_a_compiled_function_gives_no_break(net, x):
    def call(x):
        return net(x) if isinstance(net.layers[0], Module) else x

    torch.testing.assert_close(torch.compile(call, backend="eager", fullgraph=True)(x), net(x))


def test_it_scripts(net, x):
    torch.testing.assert_close(torch.jit.script(net)(x), net(x))


def test_a_sequential_scripts(x):
    body = Sequential(Linear(4, 4), Sequential(ReLU(), Linear(4, 2)))

    torch.testing.assert_close(torch.jit.script(body)(x), body(x))


def test_it_runs_under_automatic_mixed_precision(net, x):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = net.layers[0](x)

    assert y.dtype == torch.bfloat16


@pytest.mark.filterwarnings("ignore")
def test_it_trains_under_distributed_data_parallel(net, x, tmp_path):
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/meet", rank=0, world_size=1)
    try:
        DistributedDataParallel(net)(x).sum().backward()
    finally:
        torch.distributed.destroy_process_group()

    assert all(p.grad is not None for p in net.parameters())


def test_hooks_and_moves_work_as_in_torch(net, x):
    seen = []
    net.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))

    net.double()(x.double())

    assert seen == [torch.float64]
