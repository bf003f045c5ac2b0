"""Any ONNX file as a module of the platform engine."""

import copy
import os
import pickle

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from mcore import platform
from mcore.exchange.errors import ModelFileError
from mcore.exchange.export import to_onnx
from mcore.exchange.onnx_module import OnnxModule

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
WEIGHT = np.random.default_rng(0).standard_normal((4, 3, 3, 3), np.float32)
BIAS = np.random.default_rng(1).standard_normal(4, np.float32)


def value(name, kind=FLOAT, shape=None):
    return helper.make_tensor_value_info(name, kind, shape)


def proto(nodes, inputs, outputs, weights=(), opset=21, ir=10, domains=(), **more):
    graph = helper.make_graph(nodes, "g", inputs, outputs, [numpy_helper.from_array(a, n) for n, a in weights])
    imports = [helper.make_opsetid("", opset), *(helper.make_opsetid(name, 1) for name in domains)]
    return helper.make_model(graph, opset_imports=imports, ir_version=ir, **more)


def conv(opset=21, ir=10, listed=False):
    """A convolution and its rectified result; `listed`: initializers are inputs too, as old files have them."""
    inputs = [value("x", shape=["n", 3, "h", "w"])]
    if listed:
        inputs += [value("conv.weight", shape=[4, 3, 3, 3]), value("conv.bias", shape=[4])]
    nodes = [
        helper.make_node("Conv", ["x", "conv.weight", "conv.bias"], ["c"], pads=[1, 1, 1, 1], name="conv"),
        helper.make_node("Relu", ["c"], ["y"], name="relu"),
    ]
    outputs = [value("y", shape=["n", 4, "h", "w"]), value("c", shape=["n", 4, "h", "w"])]
    return proto(nodes, inputs, outputs, [("conv.weight", WEIGHT), ("conv.bias", BIAS)], opset, ir)


def bare(model, *arrays):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, dict(zip([i.name for i in session.get_inputs()], arrays, strict=False)))


def x(*shape, seed=2):
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def tensor(array):
    return platform.from_numpy(array)


def test_it_gives_what_the_bare_runtime_gives_at_any_size():
    module = OnnxModule(conv())

    for shape in ((1, 3, 8, 8), (2, 3, 5, 11)):
        for got, expected in zip(module(tensor(x(*shape))), bare(conv(), x(*shape)), strict=True):
            np.testing.assert_allclose(got.numpy(), expected, rtol=1e-6)


def test_float_initializers_are_parameters_and_edits_take_effect():
    module = OnnxModule(conv())
    assert list(module.state_dict()) == ["conv.weight", "conv.bias"]

    module.load_state_dict({"conv.weight": 2 * WEIGHT, "conv.bias": 2 * BIAS})

    _, c = module(tensor(x(1, 3, 8, 8)))
    np.testing.assert_allclose(c.numpy(), 2 * bare(conv(), x(1, 3, 8, 8))[1], rtol=1e-5, atol=1e-5)
    with pytest.raises(RuntimeError, match="size mismatch"):
        module.load_state_dict({"conv.weight": WEIGHT[:2], "conv.bias": BIAS})


@pytest.mark.parametrize("name", ["/conv/weight", "a..b", "train", "weight", "onnx::Conv_12", "", ".", "forward.x"])
def test_parameters_may_have_any_name(name):
    name = name or "empty"
    model = proto([helper.make_node("Add", ["x", name], ["y"])], [value("x", shape=[4])], [value("y")], [(name, BIAS)])

    module = OnnxModule(model)

    assert list(module.state_dict()) == [name]
    module.load_state_dict({name: 2 * BIAS})
    np.testing.assert_allclose(module(tensor(BIAS)).numpy(), 3 * BIAS, rtol=1e-6)


def test_a_name_may_be_the_beginning_of_another():
    nodes = [helper.make_node("Add", ["x", "a"], ["z"]), helper.make_node("Add", ["z", "a.b"], ["y"])]
    module = OnnxModule(proto(nodes, [value("x", shape=[4])], [value("y")], [("a", BIAS), ("a.b", 2 * BIAS)]))

    assert sorted(module.state_dict()) == ["a", "a.b"]
    np.testing.assert_allclose(module(tensor(BIAS)).numpy(), 4 * BIAS, rtol=1e-6)


def test_old_files_that_list_initializers_as_inputs_take_only_the_others():
    y, _ = OnnxModule(conv(opset=9, ir=3, listed=True))(tensor(x(1, 3, 8, 8)))

    np.testing.assert_allclose(y.numpy(), bare(conv(), x(1, 3, 8, 8))[0], rtol=1e-6)


def test_inputs_are_given_by_name_too():
    module = OnnxModule(conv())

    np.testing.assert_array_equal(module(x=tensor(x(1, 3, 8, 8)))[0].numpy(), module(tensor(x(1, 3, 8, 8)))[0].numpy())


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
        OnnxModule(conv())(*(tensor(a) if isinstance(a, np.ndarray) else a for a in arguments))


def test_copies_and_pickles_are_modules_of_their_own():
    module = OnnxModule(conv())
    expected = module(tensor(x(1, 3, 8, 8)))[0].numpy()

    for twin in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        module.load_state_dict({"conv.weight": 0 * WEIGHT, "conv.bias": BIAS})
        np.testing.assert_array_equal(twin(tensor(x(1, 3, 8, 8)))[0].numpy(), expected)


# --- inside another module


class Around(platform.Module):
    def __init__(self, source):
        super().__init__()
        self.inner = OnnxModule(source)

    def forward(self, x):
        y, c = self.inner(x * 2.0)
        return y - c, y.reshape(y.shape[0], y.shape[1] * y.shape[2], y.shape[3])


@pytest.mark.parametrize("opset", [9, 11, 13, 17, 21, 22])
def test_its_nodes_join_the_recording_of_another_module(opset):
    module = Around(conv(opset, ir=10))

    for shape in ((1, 3, 8, 8), (2, 3, 8, 8), (2, 3, 10, 6), (3, 3, 7, 9)):
        got, flat = module(tensor(x(*shape)))
        y, c = bare(conv(), 2 * x(*shape))
        np.testing.assert_allclose(got.numpy(), y - c, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(flat.numpy(), y.reshape(flat.shape), rtol=1e-5, atol=1e-5)


def test_an_export_holds_its_nodes_and_weights_and_its_sizes_stay_open():
    module = Around(conv()).eval()

    made = to_onnx(module, tensor(x(1, 3, 8, 8)))

    assert [node.op_type for node in made.graph.node].count("Conv") == 1
    assert "inner.conv.weight" in {t.name for t in made.graph.initializer}
    for shape in ((1, 3, 8, 8), (2, 3, 11, 6)):
        for got, expected in zip(bare(made, x(*shape)), module(tensor(x(*shape))), strict=True):
            np.testing.assert_allclose(got, expected.numpy(), rtol=1e-5, atol=1e-5)


def branching():
    """A graph with an If: its nodes cannot join another recording."""
    then = helper.make_graph([helper.make_node("Neg", ["x"], ["a"])], "t", [], [value("a", shape=["n"])])
    other = helper.make_graph([helper.make_node("Abs", ["x"], ["b"])], "e", [], [value("b", shape=["n"])])
    nodes = [
        helper.make_node("ReduceSum", ["x"], ["s"], keepdims=0),
        helper.make_node("Greater", ["s", "zero"], ["c"]),
        helper.make_node("If", ["c"], ["y"], then_branch=then, else_branch=other, name="choose"),
    ]
    return proto(nodes, [value("x", shape=["n"])], [value("y", shape=["n"])], [("zero", np.float32(0))])


class AroundBranch(platform.Module):
    def __init__(self):
        super().__init__()
        self.inner = OnnxModule(branching())

    def forward(self, x):
        return self.inner(x + 1.0) * 2.0


def test_control_flow_is_run_on_the_spot_inside_another_module():
    for sign in (1.0, -10.0):
        array = np.float32([sign, 2, 3])
        expected = 2 * (-(array + 1) if (array + 1).sum() > 0 else np.abs(array + 1))
        np.testing.assert_allclose(AroundBranch()(tensor(array)).numpy(), expected)


def test_control_flow_inside_another_modules_export_is_an_error_that_names_the_node():
    with pytest.raises(NotImplementedError, match=r"node 'choose' \(If\).*export it by itself.*test_onnx_module"):
        to_onnx(AroundBranch().eval(), tensor(np.ones(3, np.float32)))


def test_sizes_that_depend_on_data_join_too():
    nodes = [helper.make_node("NonZero", ["x"], ["z"]), helper.make_node("Transpose", ["z"], ["y"])]
    inner = OnnxModule(proto(nodes, [value("x", shape=["n"])], [value("y", INT64)]))

    class Data(platform.Module):
        def __init__(self):
            super().__init__()
            self.inner = inner

        def forward(self, x):
            found = self.inner(x)
            return found, found.shape[0]

    found, count = Data()(tensor(np.float32([0, 1, 0, 2])))
    assert found.tolist() == [[1], [3]]
    assert count == 2


# --- what runtimes refuse


def test_an_operator_that_only_old_sets_have_is_run_or_converted():
    nodes = [helper.make_node("Upsample", ["x", "s"], ["y"], mode="nearest", name="up")]
    model = proto(
        nodes,
        [value("x", shape=[1, 1, 2, 2])],
        [value("y")],
        [("s", np.float32([1, 1, 2, 2]))],
        opset=9,
        ir=4,
    )

    assert OnnxModule(model)(tensor(x(1, 1, 2, 2))).shape == (1, 1, 4, 4)


@pytest.mark.parametrize(
    ("domain", "error", "words"),
    [
        ("", ModelFileError, "checker.*Nonsense"),
        ("mine", NotImplementedError, r"node 'odd' \(Nonsense.*mine 1"),
    ],
)
def test_an_unknown_operator_is_named_with_its_node_and_set(domain, error, words):
    node = helper.make_node("Nonsense", ["x"], ["y"], domain=domain, name="odd")

    with pytest.raises(error, match=words):
        OnnxModule(proto([node], [value("x", shape=[2])], [value("y")], domains=filter(None, [domain])))


def test_a_newer_file_version_is_read():
    assert OnnxModule(conv(opset=22, ir=13))(tensor(x(1, 3, 4, 4)))[0].shape == (1, 4, 4, 4)


# --- other types


def test_bfloat16_goes_in_and_out():
    array = platform.arange(4, dtype=platform.float32).to(platform.bfloat16)
    nodes = [helper.make_node("Reshape", ["x", "s"], ["y"])]
    kind = TensorProto.BFLOAT16
    model = proto(nodes, [value("x", kind, [4])], [value("y", kind, [2, 2])], [("s", np.array([2, 2]))])

    got = OnnxModule(model)(array)

    assert got.dtype is platform.bfloat16
    assert got.tolist() == [[0, 1], [2, 3]]


def test_functions_of_the_file_are_run_and_joined():
    double = helper.make_function(
        "mine",
        "Double",
        ["a"],
        ["b"],
        [helper.make_node("Add", ["a", "a"], ["b"])],
        [helper.make_opsetid("", 21)],
    )
    node = helper.make_node("Double", ["x"], ["y"], domain="mine")
    model = proto([node], [value("x", shape=["n"])], [value("y", shape=["n"])], domains=["mine"], functions=[double])
    inner = OnnxModule(model)

    class Outer(platform.Module):
        def __init__(self):
            super().__init__()
            self.inner = inner

        def forward(self, x):
            return self.inner(x) + 1.0

    assert inner(tensor(np.float32([1, 2]))).tolist() == [2, 4]
    assert Outer()(tensor(np.float32([1, 2]))).tolist() == [3, 5]
    assert [n.op_type for n in to_onnx(Outer().eval(), tensor(np.float32([1, 2]))).graph.node] == [
        "Add",
        "Add",
    ]


def test_sequences_come_out_as_lists():
    nodes = [helper.make_node("SplitToSequence", ["x", "one"], ["s"], axis=0)]
    out = helper.make_value_info("s", helper.make_sequence_type_proto(helper.make_tensor_type_proto(FLOAT, ["k"])))
    model = proto(nodes, [value("x", shape=["n"])], [out], [("one", np.array(1))])

    found = OnnxModule(model)(tensor(np.float32([1, 2])))

    assert [item.tolist() for item in found] == [[1], [2]]


def test_external_data_is_read_from_beside_the_file(tmp_path):
    onnx.save_model(conv(), tmp_path / "m.onnx", save_as_external_data=True, location="w.bin", size_threshold=0)
    y, _ = OnnxModule(tmp_path / "m.onnx")(tensor(x(1, 3, 8, 8)))
    np.testing.assert_allclose(y.numpy(), bare(conv(), x(1, 3, 8, 8))[0], rtol=1e-6)

    os.rename(tmp_path / "w.bin", tmp_path / "real.bin")
    os.symlink("real.bin", tmp_path / "w.bin")
    with pytest.raises(ModelFileError, match="link"):
        OnnxModule(tmp_path / "m.onnx")
