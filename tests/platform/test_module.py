"""Module and containers: what torch's do, side by side, and what they refuse in torch's words."""

import copy
import inspect
import operator
import pickle
from collections import OrderedDict

import numpy as np
import pytest
import torch

import mcore.platform as platform
from mcore import vocabulary
from tests.platform.engines import tensor

ENGINES = {"platform": platform, "torch": torch}


class Words:
    """One engine's names, so that a test says the same to both."""

    def __init__(self, name):
        self.nn = platform if name == "platform" else torch.nn
        self.top = ENGINES[name]


@pytest.fixture(params=["platform", "torch"])
def words(request):
    return Words(request.param)


class Double(platform.Module):
    def forward(self, x):
        return x * 2


class Net(platform.Module):
    def __init__(self, width=4, *, depth=2):
        super().__init__()
        self.layers = platform.ModuleList(platform.Linear(width, width) for _ in range(depth))
        self.scale = platform.Parameter(platform.ones(width))
        self.register_buffer("shift", platform.zeros(width))
        self.register_buffer("hidden", platform.zeros(1), persistent=False)

    def forward(self, x):
        for layer in self.layers:
            x = layer(x).relu()
        return x * self.scale + self.shift


def described(nn, top):
    """A module with everything in it, of either engine."""

    class Part(nn.Module):
        def __init__(self):
            super().__init__()
            self.b = nn.Parameter(top.zeros(2))
            self.a = nn.Parameter(top.zeros(3))
            self.register_buffer("kept", top.zeros(1))
            self.register_buffer("lost", top.zeros(1), persistent=False)
            self.register_buffer("none", None)
            self.absent = None

    class Whole(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = Part()
            self.weight = nn.Parameter(top.zeros(1))
            self.list = nn.ModuleList([nn.Linear(2, 2), None, Part()][::2])
            self.again = self.first
            self.tied = self.first.a

    return Whole()


# --- listing --------------------------------------------------------------------------------------

LISTS = {
    "named_parameters": lambda m: [n for n, _ in m.named_parameters()],
    "with duplicates": lambda m: [n for n, _ in m.named_parameters(remove_duplicate=False)],
    "own": lambda m: [n for n, _ in m.named_parameters(recurse=False)],
    "prefix": lambda m: [n for n, _ in m.named_parameters(prefix="net")],
    "named_buffers": lambda m: [n for n, _ in m.named_buffers()],
    "named_modules": lambda m: [(n, type(x).__name__) for n, x in m.named_modules()],
    "modules with duplicates": lambda m: [n for n, _ in m.named_modules(remove_duplicate=False)],
    "named_children": lambda m: [n for n, _ in m.named_children()],
    "state_dict": lambda m: list(m.state_dict()),
    "state with prefix": lambda m: list(m.state_dict(prefix="net.")),
    "metadata": lambda m: dict(m.state_dict()._metadata),
    "counts": lambda m: [len(list(f())) for f in (m.parameters, m.buffers, m.modules, m.children)],
}


@pytest.mark.parametrize("question", LISTS)
def test_lists_what_torch_lists_in_its_order(question):
    ask = LISTS[question]

    assert ask(described(platform, platform)) == ask(described(torch.nn, torch))


def test_public_names_are_torchs():
    ours = {name for name in dir(platform.Module) if not name.startswith("_")}
    theirs = {name for name in dir(torch.nn.Module) if not name.startswith("_")}

    # Devices that ONNX Runtime has no provider for, and a type variable.
    assert theirs - ours == {"ipu", "mtia", "xpu", "T_destination"}


@pytest.mark.parametrize("name", sorted(n for n in dir(torch.nn.Module) if not n.startswith("_")))
def test_public_methods_have_torchs_signatures(name):
    ours, theirs = getattr(platform.Module, name, None), getattr(torch.nn.Module, name)
    if ours is None or not callable(theirs) or name in ("forward", "compile", "to"):
        pytest.skip("not a method of both, or takes anything")
    parameters = [
        [(p.name, p.kind, p.default) for p in inspect.signature(f).parameters.values()] for f in (ours, theirs)
    ]

    assert parameters[0] == parameters[1]


@pytest.mark.parametrize("namespace", ["CONTAINERS", "LAYERS", "TOP", "DTYPES"])
def test_every_word_of_the_vocabulary_is_there(namespace):
    assert [name for name in getattr(vocabulary, namespace) if name not in platform.__all__] == []


@pytest.mark.parametrize(
    ("namespace", "module"), [("FUNCTIONAL", "functional"), ("LINALG", "linalg"), ("INIT", "init")]
)
def test_every_word_of_a_submodule_is_there(namespace, module):
    found = getattr(platform, module).__all__

    assert [name for name in getattr(vocabulary, namespace) if name not in found] == []


# --- attributes -----------------------------------------------------------------------------------

WRONG = {
    "module too early": lambda w: type("M", (w.nn.Module,), {"__init__": lambda s: setattr(s, "a", w.nn.ReLU())})(),
    "parameter too early": lambda w: type(
        "M", (w.nn.Module,), {"__init__": lambda s: setattr(s, "a", w.nn.Parameter(w.top.zeros(1)))}
    )(),
    "buffer too early": lambda w: type(
        "M", (w.nn.Module,), {"__init__": lambda s: s.register_buffer("a", w.top.zeros(1))}
    )(),
    "tensor for parameter": lambda w: setattr(w.nn.Linear(1, 1), "weight", w.top.zeros(1)),
    "number for parameter": lambda w: setattr(w.nn.Linear(1, 1), "weight", 3),
    "number for module": lambda w: setattr(w.nn.Sequential(w.nn.ReLU()), "0", 3),
    "number for buffer": lambda w: setattr(w.nn.BatchNorm1d(1), "running_mean", 3),
    "no such attribute": lambda w: w.nn.Linear(1, 1).wait,
    "dot in parameter": lambda w: w.nn.Linear(1, 1).register_parameter("a.b", None),
    "empty parameter": lambda w: w.nn.Linear(1, 1).register_parameter("", None),
    "existing parameter": lambda w: w.nn.Linear(1, 1).register_parameter("forward", None),
    "dot in buffer": lambda w: w.nn.Linear(1, 1).register_buffer("a.b", None),
    "empty buffer": lambda w: w.nn.Linear(1, 1).register_buffer("", None),
    "existing buffer": lambda w: w.nn.Linear(1, 1).register_buffer("weight", None),
    "number registered as buffer": lambda w: w.nn.Linear(1, 1).register_buffer("a", 3),
    "number registered as parameter": lambda w: w.nn.Linear(1, 1).register_parameter("a", 3),
    "name that is no text": lambda w: w.nn.Linear(1, 1).register_parameter(3, None),
    "dot in module": lambda w: w.nn.Linear(1, 1).add_module("a.b", w.nn.ReLU()),
    "empty module": lambda w: w.nn.Linear(1, 1).add_module("", w.nn.ReLU()),
    "no module": lambda w: w.nn.Linear(1, 1).add_module("a", 3),
    "existing module": lambda w: w.nn.Linear(1, 1).add_module("weight", w.nn.ReLU()),
    "submodule": lambda w: w.nn.Sequential(w.nn.ReLU()).get_submodule("0.a"),
    "submodule that is none": lambda w: w.nn.Linear(1, 1).get_submodule("weight"),
    "parameter that is none": lambda w: w.nn.Linear(1, 1).get_parameter("in_features"),
    "buffer that is none": lambda w: w.nn.Linear(1, 1).get_buffer("weight"),
    "no target": lambda w: w.nn.Linear(1, 1).set_submodule("", w.nn.ReLU()),
    "strict target": lambda w: w.nn.Linear(1, 1).set_submodule("a", w.nn.ReLU(), strict=True),
    "training mode": lambda w: w.nn.Linear(1, 1).train("yes"),
    "keyword": lambda w: w.nn.Module(width=3),
    "argument": lambda w: w.nn.Module(3),
    "no forward": lambda w: w.nn.Module()(w.top.zeros(1)),
    "integer type": lambda w: w.nn.Linear(1, 1).to(w.top.int64),
    "index": lambda w: w.nn.Sequential(w.nn.ReLU())[1],
    "list index": lambda w: w.nn.ModuleList([w.nn.ReLU()])[-2],
    "sum": lambda w: operator.add(w.nn.Sequential(), [w.nn.ReLU()]),
    "product": lambda w: w.nn.Sequential() * 0,
    "list of nothing": lambda w: w.nn.ModuleList().extend(3),
    "dict of nothing": lambda w: w.nn.ModuleDict().update(3),
    "dict of threes": lambda w: w.nn.ModuleDict().update([(1, 2, 3)]),
    "insert": lambda w: w.nn.Sequential().insert(2, w.nn.ReLU()),
    "called list of parameters": lambda w: w.nn.ParameterList()(),
    "list of parameters from a tensor": lambda w: w.nn.ParameterList().extend(w.top.zeros(1)),
    "integer parameter": lambda w: w.nn.Parameter(w.top.zeros(1, dtype=w.top.int64)),
}


@pytest.mark.parametrize("what", WRONG)
def test_is_refused_in_torchs_words(what):
    seen = []
    for name in ("torch", "platform"):
        with pytest.raises(Exception) as caught:  # noqa: PT011 - the class and words are compared below
            WRONG[what](Words(name))
        seen.append((caught.type, str(caught.value).replace("mcore.platform", "torch").replace("mcore.", "torch.")))

    (kind, text), (our_kind, our_text) = seen
    assert our_kind is kind
    # torch tells classes by where they stand in it.
    assert our_text.replace("containers.", "nn.modules.container.").startswith(text.rstrip(".")[:60])


def test_a_parameter_replaces_a_plain_attribute(words):
    layer = words.nn.Module()
    layer.a = 3
    layer.a = words.nn.Parameter(words.top.zeros(1))
    del layer.a

    assert not hasattr(layer, "a")


def test_none_clears_a_parameter_and_a_module(words):
    layer = words.nn.Sequential(words.nn.Linear(1, 1))
    layer[0].bias = None
    kept = list(layer.state_dict())
    setattr(layer, "0", None)

    assert (kept, list(layer.state_dict())) == (["0.weight"], [])


def test_a_buffer_is_registered_by_its_class(words):
    layer = words.nn.Module()
    layer.kept = words.nn.Buffer(words.top.zeros(1))
    layer.lost = words.nn.Buffer(words.top.zeros(1), persistent=False)

    assert (list(layer.state_dict()), [n for n, _ in layer.named_buffers()]) == (["kept"], ["kept", "lost"])


def test_dir_lists_parameters_buffers_and_modules():
    assert {"scale", "shift", "layers", "forward"} <= set(dir(Net()))


def test_paths_lead_to_modules_parameters_and_buffers():
    net = Net()

    assert net.get_submodule("layers.1") is net.layers[1]
    assert net.get_parameter("layers.0.bias") is net.layers[0].bias
    assert net.get_buffer("shift") is net.shift
    net.set_submodule("layers.1", platform.ReLU())
    assert isinstance(net.layers[1], platform.ReLU)


def test_a_module_may_have_abstract_methods():
    import abc

    class Abstract(platform.Module):
        @abc.abstractmethod
        def forward(self, x): ...

    with pytest.raises(TypeError, match=r"abstract"):
        Abstract()


# --- modes and types ------------------------------------------------------------------------------


def test_train_and_eval_reach_every_module():
    net = Net()

    assert {m.training for m in net.eval().modules()} == {False}
    assert {m.training for m in net.train().modules()} == {True}


def test_apply_calls_children_first(words):
    seen = []
    words.nn.Sequential(words.nn.Linear(1, 1), words.nn.Sequential(words.nn.ReLU())).apply(
        lambda m: seen.append(type(m).__name__)
    )

    assert seen == ["Linear", "ReLU", "Sequential", "Sequential"]


@pytest.mark.parametrize(
    "cast",
    [
        lambda m, t: m.half(),
        lambda m, t: m.double(),
        lambda m, t: m.bfloat16(),
        lambda m, t: m.to(t.float64),
        lambda m, t: m.to("cpu", t.float16),
        lambda m, t: m.to(t.zeros(1, dtype=t.float64)),
        lambda m, t: m.to(dtype=t.float16),
        lambda m, t: m.double().float(),
        lambda m, t: m.type(t.float64),
        lambda m, t: m.cpu(),
    ],
)
def test_casts_reach_what_torchs_reach(cast):
    types = [
        {name: str(t.dtype).split(".")[1] for name, t in cast(engine.BatchNorm1d(2), top).state_dict().items()}
        for engine, top in ((platform, platform), (torch.nn, torch))
    ]

    assert types[0] == types[1]


def test_a_cast_keeps_the_parameter_itself_and_takes_effect_at_the_next_call():
    layer = platform.Linear(1, 1, bias=False)
    weight = layer.weight
    layer(tensor([[1.0]]))

    layer.double()

    assert layer.weight is weight
    assert layer(tensor([[1.0]], "float64")).dtype is platform.float64


def test_an_absent_device_is_refused_by_name():
    with pytest.raises(RuntimeError, match=r"device 'cuda:7' is not available"):
        platform.Linear(1, 1).to("cuda:7")


def test_freezing_is_a_flag():
    net = Net()
    net.scale.requires_grad = False
    net.layers.requires_grad_(False)

    assert {p.requires_grad for p in net.parameters()} == {False}


@pytest.mark.parametrize(
    "ask",
    [
        lambda net: net.requires_grad_(),
        lambda net: net.scale.requires_grad_(True),
        lambda net: net.register_full_backward_hook(print),
    ],
)
def test_gradients_are_refused_with_the_way_to_have_them(ask):
    with pytest.raises(RuntimeError, match=r"MCORE_BACKEND=torch"):
        ask(Net())


def test_zero_grad_does_nothing():
    assert Net().zero_grad() is None


# --- containers -----------------------------------------------------------------------------------

RELU = "ReLU()"
SHAPES = {
    "slice": lambda nn: nn.Sequential(nn.Linear(1, 1), nn.ReLU(), nn.Tanh())[1:],
    "sum": lambda nn: nn.Sequential(nn.ReLU()) + nn.Sequential(nn.Tanh()),
    "product": lambda nn: 2 * nn.Sequential(nn.ReLU(), nn.Tanh()),
    "named": lambda nn: nn.Sequential(OrderedDict(a=nn.ReLU(), b=nn.Tanh()))[:1],
    "appended": lambda nn: nn.Sequential(nn.ReLU()).append(nn.Tanh()).extend([nn.Sigmoid()]),
    "inserted": lambda nn: nn.Sequential(nn.ReLU(), nn.Tanh()).insert(-1, nn.Sigmoid()),
    "list": lambda nn: nn.ModuleList([nn.ReLU(), nn.ReLU(), nn.Tanh(), nn.Linear(1, 2)]),
    "list of one kind": lambda nn: nn.ModuleList([nn.Sequential(nn.ReLU(), nn.Tanh())] * 3),
    "empty list": lambda nn: nn.ModuleList(),
    "list slice": lambda nn: nn.ModuleList([nn.ReLU(), nn.Tanh()])[::-1],
    "list sum": lambda nn: operator.add(nn.ModuleList([nn.ReLU()]), [nn.Tanh()]),
    "dict": lambda nn: nn.ModuleDict({"a": nn.ReLU(), "b": nn.Linear(1, 1)}),
    "dict of pairs": lambda nn: nn.ModuleDict([("b", nn.ReLU()), ("a", nn.Tanh())]),
    "nested": lambda nn: nn.Sequential(nn.Sequential(nn.ReLU(), nn.ModuleList([nn.Tanh()]))),
    "lists of parameters": lambda nn: nn.ParameterList([nn.Parameter(nn.Linear(2, 3).weight.data), 3]),
    "dict of parameters": lambda nn: nn.ParameterDict({"b": nn.Parameter(nn.Linear(2, 3).bias.data), "a": 3}),
    "transformer": lambda nn: nn.TransformerEncoderLayer(8, 2, 16),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_container_prints_as_torchs(shape):
    ours, theirs = (repr(SHAPES[shape](nn)) for nn in (platform, torch.nn))

    assert ours.replace("mcore.", "torch.") == theirs


def edited(nn, kind):
    made = getattr(nn, kind)(*([[nn.ReLU() for _ in range(4)]] if kind == "ModuleList" else [nn.ReLU()] * 4))
    made[1] = nn.Tanh()
    del made[0]
    del made[1:2]
    made.pop(-1)
    made.append(nn.Sigmoid())
    made.insert(1, nn.SiLU())
    made += nn.Sequential(nn.GELU()) if kind == "Sequential" else [nn.GELU()]
    return made


@pytest.mark.parametrize("kind", ["Sequential", "ModuleList"])
def test_editing_a_container_leaves_what_torchs_leaves(kind):
    ours, theirs = edited(platform, kind), edited(torch.nn, kind)

    assert (repr(ours), list(ours._modules), len(ours)) == (repr(theirs), list(theirs._modules), len(theirs))


def test_a_list_of_parameters_is_edited_as_torchs(words):
    values = words.nn.ParameterList([words.top.zeros(1), words.nn.Parameter(words.top.ones(2))])
    values.append(words.top.zeros(3))
    values[0] = words.top.zeros(4)
    values += [words.top.zeros(5)]

    sizes = [tuple(p.shape) for p in values[1:]]
    assert (sizes, list(values.state_dict()), len(values)) == ([(2,), (3,), (5,)], ["0", "1", "2", "3"], 4)


def test_a_dict_of_parameters_is_edited_as_torchs(words):
    values = words.nn.ParameterDict({"b": words.top.zeros(1)})
    values["a"] = words.top.ones(2)
    values.update(OrderedDict(c=words.top.zeros(3)))
    removed = values.pop("b")
    other = values | words.nn.ParameterDict({"d": words.top.zeros(4)})

    assert (list(values), "b" in values, removed.shape[0]) == (["a", "c"], False, 1)
    assert (list(other), values.get("e", 7), list(reversed(values))) == (["a", "c", "d"], 7, ["c", "a"])


# --- copies ---------------------------------------------------------------------------------------


def pickled(module):
    return pickle.loads(pickle.dumps(module))


@pytest.mark.parametrize("again", [copy.deepcopy, pickled], ids=["copy", "pickle"])
def test_a_copy_has_its_own_weights_and_the_same_numbers(again):
    net = Net()
    net.scale.requires_grad = False
    net.scale.note = "mine"
    x = tensor(np.ones((2, 4), "float32"))
    wanted = net(x).numpy()

    copied = again(net)
    copied.shift.fill_(5.0)

    assert np.array_equal(net(x).numpy(), wanted)
    assert np.array_equal(copied(x).numpy(), wanted + 5)
    assert (copied.scale.requires_grad, copied.scale.note, type(copied.scale)) == (
        False,
        "mine",
        platform.Parameter,
    )
    assert (copied._arguments, list(copied.state_dict())) == ({}, list(net.state_dict()))


@pytest.mark.parametrize("again", [copy.deepcopy, pickled], ids=["copy", "pickle"])
def test_a_copy_keeps_what_was_shared_shared(again):
    body = platform.Sequential(platform.Linear(2, 2), platform.Linear(2, 2))
    body[1].weight = body[0].weight

    copied = again(body)

    assert copied[1].weight is copied[0].weight
    assert copied[0].weight is not body[0].weight


# --- what the constructor received ----------------------------------------------------------------


def test_arguments_are_kept_by_name_without_defaults():
    assert (Net(3, depth=1)._arguments, platform.Linear(2, 3, bias=False)._arguments) == (
        {"width": 3, "depth": 1},
        {"in_features": 2, "out_features": 3, "bias": False},
    )


# --- hooks ----------------------------------------------------------------------------------------


def hooked(words, log):
    body = words.nn.Sequential(words.nn.ReLU(), words.nn.Tanh())
    body[0].register_forward_pre_hook(lambda m, args: log.append("pre"))
    body[0].register_forward_hook(lambda m, args, out: log.append("after"))
    body[0].register_forward_hook(lambda m, args, out: log.append("first"), prepend=True)
    body[1].register_forward_pre_hook(lambda m, args: args[0] * 0)
    body[1].register_forward_hook(lambda m, args, out: out + 3)
    body.register_forward_pre_hook(lambda m, args, kwargs: log.append("outer") or (args, kwargs), with_kwargs=True)
    body.register_forward_hook(lambda m, args, kwargs, out: out * 2, with_kwargs=True)
    return body


def test_hooks_run_in_torchs_order_and_change_arguments_and_results(words):
    log = []
    body = hooked(words, log)

    out = body(words.top.ones(2))

    assert (log, out.tolist()) == (["outer", "pre", "first", "after"], [6.0, 6.0])


def test_a_removed_hook_is_gone(words):
    log = []
    layer = words.nn.ReLU()
    with layer.register_forward_hook(lambda *args: log.append(1)):
        layer(words.top.ones(1))
    layer(words.top.ones(1))

    assert log == [1]


def test_an_always_called_hook_runs_after_an_error(words):
    class Failing(words.nn.Module):
        def forward(self, x):
            raise KeyError("mine")

    log = []
    layer = Failing()
    layer.register_forward_hook(lambda *args: log.append("always"), always_call=True)
    layer.register_forward_hook(lambda *args: log.append("never"))

    with pytest.raises(KeyError, match=r"mine"):
        layer(words.top.ones(1))

    assert log == ["always"]


def test_a_hook_reads_values(words):
    seen = []
    body = words.nn.Sequential(words.nn.ReLU(), words.nn.ReLU())
    body[0].register_forward_hook(lambda m, args, out: seen.append(out.sum().item()))

    body(words.top.ones(3))

    assert seen == [3.0]


def test_features_kept_by_a_hook_outlive_the_call(words):
    kept = {}
    body = words.nn.Sequential(words.nn.ReLU(), words.nn.Tanh())
    body[0].register_forward_hook(lambda m, args, out: kept.update(out=out))

    body(words.top.ones(3))

    assert kept["out"].tolist() == [1.0, 1.0, 1.0]


# --- tensors that hold state ----------------------------------------------------------------------


def test_a_parameter_prints_as_torchs(words):
    printed = repr(words.nn.Parameter(words.top.ones(2)))

    assert printed == "Parameter containing:\ntensor([1., 1.], requires_grad=True)"


def test_a_parameter_takes_a_tensor_only():
    with pytest.raises(TypeError, match=r"argument 'data' must be Tensor, not list"):
        platform.Parameter([1.0])


def test_what_is_computed_of_a_parameter_is_a_plain_tensor():
    assert type(platform.Parameter(platform.ones(2)) * 2) is platform.Tensor
