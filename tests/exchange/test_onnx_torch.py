"""Any ONNX file as a trainable module of the torch engine."""

import copy
import io
import pickle
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from mcore import torch as engine
from mcore.exchange import bridge_torch
from mcore.exchange.errors import ModelFileError
from mcore.exchange.export import to_onnx
from mcore.exchange.onnx_module import OnnxModule as PlatformModule
from mcore.exchange.onnx_torch import OnnxModule
from tests.exchange import strangers
from tests.exchange.test_onnx_module import BIAS, FLOAT, INT64, WEIGHT, branching, conv, proto, value, x

# Whole networks in float32, forward and backward.
NETWORK = {"rtol": 1e-4, "atol": 1e-5}


def bare(model, *arrays):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, dict(zip([i.name for i in session.get_inputs()], arrays, strict=True)))


def exported(net, *inputs, dynamo):
    """By torch's own exporters."""
    file = io.BytesIO()
    torch.onnx.export(net, inputs, file, dynamo=dynamo, **({"verbose": False} if dynamo else {"opset_version": 17}))
    return onnx.load_from_string(file.getvalue())


class Small(nn.Module):
    """A bit of everything that segmentation networks are made of."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.PReLU(8))
        self.deep = nn.Sequential(nn.Conv2d(8, 8, 3, padding="same", groups=2), nn.GroupNorm(2, 8), nn.GELU())
        self.up, self.drop = nn.ConvTranspose2d(8, 4, 3, 2, 1, output_padding=1), nn.Dropout(0.5)
        self.head = nn.Linear(4, 5)
        nn.init.uniform_(self.stem[1].running_var, 0.5, 1.5)
        nn.init.normal_(self.stem[1].running_mean)

    def forward(self, x):
        n, _, h, w = x.shape
        y = self.stem(x)
        y = y + nn.functional.interpolate(self.deep(nn.functional.max_pool2d(y, 2)), size=y.shape[2:], mode="bilinear")
        y = self.drop(self.up(y))[:, :, :h, :w]
        return self.head(y.reshape(n, 4, h * w).transpose(1, 2)).softmax(-1)


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(0)
    return Small().eval()


# --- what it computes


@pytest.mark.parametrize("shape", [(1, 3, 16, 12), (3, 3, 20, 28)])
def test_it_gives_what_the_runtime_gives_at_any_size(small, shape):
    model = to_onnx(small, torch.zeros(2, 3, 16, 16), strict=True)

    got = OnnxModule(model)(torch.from_numpy(x(*shape)))

    np.testing.assert_allclose(got.detach().numpy(), bare(model, x(*shape))[0], **NETWORK)


@pytest.mark.parametrize("dynamo", [False, True])
def test_files_of_torchs_exporters_give_what_the_network_gives(small, dynamo):
    given = torch.from_numpy(x(2, 3, 16, 16))

    got = OnnxModule(exported(small, given, dynamo=dynamo))(given)

    torch.testing.assert_close(got, small(given), **NETWORK)


def test_gradients_are_the_networks(small):
    given, net = torch.from_numpy(x(2, 3, 16, 16)), copy.deepcopy(small)
    module = OnnxModule(to_onnx(net, given, strict=True))

    for each in (net, module):
        each(given).square().sum().backward()

    wanted = {name: p.grad for name, p in net.named_parameters()}
    got = {name: p.grad for name, p in module.named_parameters()}
    assert set(got) == set(wanted)
    for name, grad in wanted.items():
        torch.testing.assert_close(got[name], grad, msg=name, rtol=1e-3, atol=1e-5)


def test_networks_of_strangers_come_back_with_their_numbers():
    torch.manual_seed(0)
    net, given = strangers.ViT().eval(), torch.from_numpy(x(2, 3, 20, 24))

    torch.testing.assert_close(OnnxModule(to_onnx(net, given, strict=True))(given), net(given), **NETWORK)


# --- its state


def test_its_state_has_the_keys_that_the_platform_engine_gives_it(small):
    model = to_onnx(small, torch.zeros(1, 3, 16, 16), strict=True)

    assert set(OnnxModule(model).state_dict()) == set(PlatformModule(model).state_dict())
    assert {"stem.0.weight", "stem.1.running_mean"} <= set(OnnxModule(model).state_dict())


def test_running_statistics_are_buffers_and_weights_are_parameters(small):
    module = OnnxModule(to_onnx(small, torch.zeros(1, 3, 16, 16), strict=True))

    assert {name for name, _ in module.named_parameters()} == {name for name, _ in small.named_parameters()}
    assert {"stem.1.running_mean", "stem.1.running_var"} <= dict(module.named_buffers()).keys()


def test_a_number_that_stood_in_the_code_is_not_trained():
    class Epsilon(nn.Module):
        def forward(self, x):
            return x / (x.square().sum() + 1e-3)

    model = to_onnx(Epsilon(), torch.ones(3), strict=True)

    assert not list(OnnxModule(model).parameters())
    assert set(OnnxModule(model).state_dict()) == set(PlatformModule(model).state_dict())


def test_loading_a_state_takes_effect_and_checks_shapes():
    module = OnnxModule(conv())

    module.load_state_dict({"conv.weight": torch.from_numpy(2 * WEIGHT), "conv.bias": torch.from_numpy(2 * BIAS)})

    _, c = module(torch.from_numpy(x(1, 3, 8, 8)))
    np.testing.assert_allclose(c.detach(), 2 * bare(conv(), x(1, 3, 8, 8))[1], rtol=1e-5, atol=1e-5)
    with pytest.raises(RuntimeError, match="size mismatch"):
        module.load_state_dict({"conv.weight": torch.zeros(2, 3, 3, 3), "conv.bias": torch.from_numpy(BIAS)})


@pytest.mark.parametrize(
    "name", ["/conv/weight", "a..b", "train", "weight", "onnx::Conv_12", ".", "forward.x", "_held.x"]
)
def test_parameters_may_have_any_name(name):
    model = proto([helper.make_node("Add", ["x", name], ["y"])], [value("x", shape=[4])], [value("y")], [(name, BIAS)])

    module = OnnxModule(model)

    assert list(module.state_dict()) == [name]
    module.load_state_dict({name: torch.from_numpy(2 * BIAS)})
    np.testing.assert_allclose(module(torch.from_numpy(BIAS)).detach(), 3 * BIAS, rtol=1e-6)


def test_copies_and_pickles_are_modules_of_their_own():
    module, given = OnnxModule(conv()), torch.from_numpy(x(1, 3, 8, 8))
    expected = module(given)[0].detach()

    for twin in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        with torch.no_grad():
            module.parameters_by_name()["conv.weight"].zero_()
        torch.testing.assert_close(twin(given)[0], expected, rtol=0, atol=0)


def test_it_turns_to_other_types_as_torchs_modules_do(small):
    given = torch.from_numpy(x(1, 3, 16, 16))
    module = OnnxModule(to_onnx(small, given, strict=True))

    got = copy.deepcopy(module).double()(given.double())

    torch.testing.assert_close(got, module(given).double(), **NETWORK)


# --- train mode


def test_it_comes_in_eval_mode_and_trains_as_the_network_does(small):
    given = torch.from_numpy(x(2, 3, 16, 16))
    net = copy.deepcopy(small)
    net.drop.p = 0.0
    module = OnnxModule(to_onnx(net, given, strict=True))
    assert not module.training

    torch.testing.assert_close(module.train()(given), net.train()(given), **NETWORK)
    for name, kept in net.named_buffers():
        if "num_batches" not in name:
            torch.testing.assert_close(dict(module.named_buffers())[name], kept, msg=name)


@pytest.mark.parametrize("opset", [7, 11, 13])
def test_a_dropout_drops_in_train_mode_alone(opset):
    ratio = {"ratio": 0.75} if opset < 12 else {}
    more = [] if opset < 12 else ["r"]
    weights = [] if opset < 12 else [("r", np.float32(0.75))]
    nodes = [helper.make_node("Dropout", ["x", *more], ["y"], **ratio)]
    module = OnnxModule(proto(nodes, [value("x", shape=[400])], [value("y")], weights, opset=opset))
    ones = torch.ones(400)

    assert module(ones).equal(ones)
    kept = module.train()(ones)
    assert set(kept.unique().tolist()) == {0.0, 4.0}
    assert 60 < int((kept == 0).logical_not().sum()) < 140  # a quarter, within four deviations


def test_an_optimiser_step_lowers_the_loss():
    torch.manual_seed(0)
    module, given = OnnxModule(conv()).train(), torch.from_numpy(x(2, 3, 8, 8))
    optimiser, losses = torch.optim.SGD(module.parameters(), 0.01), []

    for _ in range(5):
        optimiser.zero_grad()
        losses.append(module(given)[1].square().mean())
        losses[-1].backward()
        optimiser.step()

    assert losses[-1] < losses[0]


# --- control flow, sizes, old files


def test_control_flow_is_decided_by_the_data():
    module = OnnxModule(branching())

    assert module(torch.tensor([1.0, 2.0])).tolist() == [-1.0, -2.0]
    assert module(torch.tensor([1.0, -2.0])).tolist() == [1.0, 2.0]


def doubling():
    """A loop that doubles n times and keeps each turn's value."""
    body = helper.make_graph(
        [
            helper.make_node("Add", ["v", "v"], ["w"]),
            helper.make_node("Identity", ["w"], ["kept"]),
            helper.make_node("Identity", ["c"], ["on"]),
        ],
        "body",
        [value("i", INT64, []), value("c", TensorProto.BOOL, []), value("v", shape=[2])],
        [value("on", TensorProto.BOOL, []), value("w", shape=[2]), value("kept", shape=[2])],
    )
    nodes = [helper.make_node("Loop", ["n", "", "x"], ["y", "all"], body=body)]
    return proto(nodes, [value("n", INT64, []), value("x", shape=[2])], [value("y"), value("all", shape=["t", 2])])


def test_a_loop_turns_as_often_as_it_is_told():
    y, every = OnnxModule(doubling())(torch.tensor(3), torch.ones(2))

    assert y.tolist() == [8.0, 8.0]
    assert every.tolist() == [[2.0, 2.0], [4.0, 4.0], [8.0, 8.0]]


def test_sizes_stay_on_the_host(monkeypatch):
    nodes = [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Gather", ["s", "first"], ["n"], axis=0),
        helper.make_node("Unsqueeze", ["n", "zero"], ["n1"]),
        helper.make_node("Concat", ["n1", "rest"], ["t"], axis=0),
        helper.make_node("Reshape", ["x", "t"], ["y"]),
    ]
    constants = [("first", np.int64(0)), ("zero", np.int64([0])), ("rest", np.int64([-1]))]
    module = OnnxModule(proto(nodes, [value("x", shape=["n", 2, 3])], [value("y", shape=["n", "m"])], constants))
    for name in ("tolist", "item", "__int__", "cpu"):
        monkeypatch.setattr(torch.Tensor, name, lambda *_: pytest.fail("read a tensor"))

    assert module(torch.zeros(4, 2, 3)).shape == (4, 6)


def test_old_files_that_list_initializers_as_inputs_take_only_the_others():
    y, _ = OnnxModule(conv(opset=9, ir=3, listed=True))(torch.from_numpy(x(1, 3, 8, 8)))

    np.testing.assert_allclose(y.detach(), bare(conv(), x(1, 3, 8, 8))[0], rtol=1e-5, atol=1e-5)


def test_values_are_let_go_after_their_last_use():
    nodes = [helper.make_node("Exp", [f"v{k}"], [f"v{k + 1}"]) for k in range(3)]
    module = OnnxModule(proto(nodes, [value("v0", shape=[2])], [value("v3", shape=[2])]))

    assert [node.drops for node in module._graph.nodes] == [("v0",), ("v1",), ("v2",)]


# --- out again


def test_it_exports_again_with_its_names_and_open_sizes(small, tmp_path):
    first = to_onnx(small, torch.zeros(2, 3, 16, 16), ["image"], strict=True)
    module = OnnxModule(first)

    made = module.toplatform(tmp_path / "again", sizes=[(1, 3, 16, 16), (2, 3, 20, 28)], strict=True)

    assert {"stem.0.weight", "head.bias"} <= {t.name for t in made.model.graph.initializer}
    assert made.model.graph.input[0].name == "image"
    assert set(made.report.axes["image"]) == {0, 2, 3}
    back = bridge_torch.module_of(tmp_path / "again")
    given = torch.from_numpy(x(3, 3, 12, 8))
    torch.testing.assert_close(back(given), small(given), **NETWORK)


def test_inside_another_module_it_exports_under_that_ones_names():
    class Around(engine.Module):
        def __init__(self):
            super().__init__()
            self.inner = OnnxModule(conv())

        def forward(self, x):
            y, c = self.inner(x * 2.0)
            return y - c

    made = to_onnx(Around().eval(), torch.zeros(1, 3, 8, 8), strict=True)

    assert "inner.conv.weight" in {t.name for t in made.graph.initializer}
    given = x(2, 3, 5, 7)
    np.testing.assert_allclose(bare(made, given)[0], Around()(torch.from_numpy(given)).detach(), rtol=1e-4, atol=1e-5)


def test_reading_a_value_in_an_export_is_an_error_that_names_the_node():
    with pytest.raises(RuntimeError, match=r"node 'choose' \(If\).*value"):
        to_onnx(OnnxModule(branching()), torch.ones(2), strict=True)


@pytest.mark.parametrize("whole", [True, False])
def test_it_compiles(small, whole):
    given = torch.from_numpy(x(1, 3, 16, 16))
    module = OnnxModule(to_onnx(small, given, strict=True, dynamic=None if whole else "auto"))

    got = torch.compile(module, backend="eager", fullgraph=whole)(given)

    torch.testing.assert_close(got, module(given), **NETWORK)


# --- what does not fit


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ((), TypeError, "takes 1 inputs .x."),
        ((x(1, 3, 8, 8), x(1)), TypeError, "takes 1 inputs"),
        ((x(1, 4, 8, 8),), RuntimeError, "input x takes nx3xhxw, got 1x4x8x8"),
        ((x(3, 8, 8),), RuntimeError, "input x takes nx3xhxw, got 3x8x8"),
        ((x(1, 3, 8, 8).astype(np.float64),), RuntimeError, "input x takes float, got float64"),
        (("text",), TypeError, "takes a tensor, got str"),
    ],
)
def test_inputs_that_do_not_fit_are_told_by_name(arguments, error, words):
    with pytest.raises(error, match=words):
        OnnxModule(conv())(*(torch.from_numpy(a) if isinstance(a, np.ndarray) else a for a in arguments))


def test_all_that_cannot_be_run_is_listed_when_the_file_is_read():
    nodes = [
        helper.make_node("Odd", ["x"], ["a"], domain="mine", name="first"),
        helper.make_node("STFT", ["a", "step"], ["y"], name="second"),
    ]
    model = proto(nodes, [value("x", shape=[1, 8, 1])], [value("y")], [("step", np.int64(2))], domains=("mine",))

    with pytest.raises(
        NotImplementedError,
        match=r"(?s)'first' \(mine.Odd\) of domain 'mine'.*'second' \(STFT\).*MCORE_BACKEND=platform",
    ):
        OnnxModule(model)


def test_an_operator_set_too_old_is_refused_by_number():
    model = proto([helper.make_node("Relu", ["x"], ["y"])], [value("x", shape=[2])], [value("y", FLOAT, [2])], opset=6)

    with pytest.raises(NotImplementedError, match="operator set 6; the torch engine reads 7 and newer"):
        OnnxModule(model)


def test_an_error_while_running_names_the_node():
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"], name="project")]
    module = OnnxModule(proto(nodes, [value("x", shape=["n", "k"])], [value("y")], [("w", WEIGHT[0, 0])]))

    with pytest.raises(RuntimeError, match=r"the model: node 'project' \(MatMul\): mat1 and mat2"):
        module(torch.zeros(2, 5))


def test_constants_that_do_not_fit_each_other_are_told_with_their_node():
    nodes = [
        helper.make_node("Gather", ["s", "far"], ["n"], name="pick"),
        helper.make_node("Reshape", ["x", "n"], ["y"]),
    ]
    constants = [("s", np.int64([1, 2])), ("far", np.int64([7]))]

    with pytest.raises(ModelFileError, match=r"node 'pick' \(Gather\): its constants don't fit"):
        OnnxModule(proto(nodes, [value("x", shape=["n"])], [value("y", shape=["n"])], constants))


def test_constants_that_double_and_double_are_not_joined_on_the_host():
    nodes = [helper.make_node("Concat", [f"c{k}", f"c{k}"], [f"c{k + 1}"], axis=0) for k in range(14)]
    nodes += [helper.make_node("Gather", ["c14", "x"], ["y"])]
    module = OnnxModule(
        proto(nodes, [value("x", INT64, ["n"])], [value("y", INT64, ["n"])], [("c0", np.int64([3, 4]))])
    )

    assert 0 < len(module._graph.nodes) < 15
    assert module(torch.tensor([0, 1, 2**15 - 1])).tolist() == [3, 4, 4]


def test_a_damaged_file_is_told_as_such():
    with pytest.raises(ModelFileError, match="the bytes"):
        OnnxModule(b"garbage")


def test_without_onnx_it_says_that_onnx_is_needed():
    code = (
        "import sys; sys.modules['onnx'] = None\n"
        "import mcore\n"
        "try:\n    mcore.fromplatform(b'x')\nexcept ImportError as error:\n    print(error)"
    )
    made = subprocess.run([sys.executable, "-c", code], env={"MCORE_BACKEND": "torch"}, capture_output=True, text=True)

    assert "onnx" in made.stdout, made.stderr


def test_constants_of_nodes_follow_the_module_and_are_no_state():
    table = numpy_helper.from_array(np.arange(100, dtype=np.float32), "t")
    nodes = [helper.make_node("Constant", [], ["c"], value=table), helper.make_node("Add", ["x", "c"], ["y"])]
    module = OnnxModule(proto(nodes, [value("x", shape=[100])], [value("y")]))

    assert not module.state_dict()
    assert module.double()._held._buffers["c"].dtype is torch.float64


@pytest.mark.parametrize("opset", [11, 13, 17])
def test_chains_of_sizes_of_older_exporters_stay_open(small, opset):
    given, file = torch.from_numpy(x(2, 3, 16, 16)), io.BytesIO()
    axes = {"x": {0: "n", 2: "h", 3: "w"}}
    torch.onnx.export(small, (given,), file, dynamo=False, opset_version=opset, input_names=["x"], dynamic_axes=axes)

    module = OnnxModule(onnx.load_from_string(file.getvalue()))
    again = to_onnx(module, given, strict=True)

    other = torch.from_numpy(x(3, 3, 20, 28))
    torch.testing.assert_close(module(other), small(other), **NETWORK)
    np.testing.assert_allclose(bare(again, other.numpy())[0], small(other).detach(), **NETWORK)
