"""ONNX files of strangers: each of the known tricks is one clear error, before memory is taken."""

import os

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from mcore.exchange import safety
from mcore.exchange.errors import ModelFileError

FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
WEIGHT = np.arange(64, dtype=np.float32)


def value(name, kind=FLOAT, shape=None):
    return helper.make_tensor_value_info(name, kind, shape if shape is not None else [64])


def model(nodes=None, weights=None, functions=(), outputs=("y",), inputs=None, opset=21, **graph):
    nodes = [helper.make_node("Add", ["x", "w"], ["y"])] if nodes is None else nodes
    weights = [numpy_helper.from_array(WEIGHT, "w")] if weights is None else weights
    inputs = [value("x")] if inputs is None else inputs
    made = helper.make_graph(nodes, "g", inputs, [value(name) for name in outputs], weights, **graph)
    imports = [helper.make_opsetid("", opset), *([helper.make_opsetid("f", 1)] if functions else [])]
    return helper.make_model(made, opset_imports=imports, ir_version=10, functions=list(functions))


def external(location="data.bin", offset=0, length=256, dims=(64,), **more):
    out = TensorProto(name="w", data_type=FLOAT, dims=dims, data_location=TensorProto.EXTERNAL)
    said = {"location": location, "offset": offset, "length": length, **more}
    for key, text in said.items():
        if text is not None:
            out.external_data.add(key=key, value=str(text))
    return out


@pytest.fixture
def folder(tmp_path):
    """A folder with good external data, and secrets outside of it."""
    (tmp_path / "secret.bin").write_bytes(WEIGHT.tobytes())
    inside = tmp_path / "net"
    inside.mkdir()
    (inside / "data.bin").write_bytes(WEIGHT.tobytes())
    return inside


def saved(folder, proto):
    (folder / "model.onnx").write_bytes(proto.SerializeToString())
    return folder / "model.onnx"


def assert_refused(source, words):
    with pytest.raises(ModelFileError, match=words):
        safety.read_model(source)


def test_a_good_model_is_read_from_a_file_its_folder_bytes_and_a_proto(folder):
    path = saved(folder, model())

    for source in (path, str(path), folder, path.read_bytes(), model()):
        loaded = safety.read_model(source)
        assert list(loaded.arrays) == ["w"]
        assert (loaded.arrays["w"] == WEIGHT).all()


def test_reading_leaves_the_callers_proto_as_it_was():
    given_model = model()
    before = given_model.SerializeToString()

    safety.read_model(given_model)

    assert given_model.SerializeToString() == before


def test_external_data_in_the_folder_and_below_is_read(folder):
    (folder / "below").mkdir()
    (folder / "below" / "more.bin").write_bytes(b"\0" * 16 + WEIGHT.tobytes())

    for tensor in (external(), external("below/more.bin", offset=16), external(offset=None, length=None)):
        loaded = safety.read_model(saved(folder, model(weights=[tensor])))
        assert (loaded.arrays["w"] == WEIGHT).all()


def test_external_integers_are_brought_into_the_model(folder):
    (folder / "ints.bin").write_bytes(np.arange(64).tobytes())
    tensor = external("ints.bin", length=512)
    tensor.data_type = INT64
    path = saved(folder, model(nodes=[helper.make_node("Gather", ["x", "w"], ["y"])], weights=[tensor]))

    held = safety.read_model(path).model.graph.initializer[0]

    assert numpy_helper.to_array(held).tolist() == list(range(64))


@pytest.mark.parametrize(
    "location",
    [
        "../secret.bin",
        "below/../../secret.bin",
        "./data.bin",
        "a//b",
        "/etc/passwd",
        "",
        "..",
        "data.bin\0x",
        "..\\secret.bin",
    ],
)
def test_external_data_outside_the_folder_is_refused(folder, location):
    assert_refused(saved(folder, model(weights=[external(location)])), "not a path inside")


def test_an_absolute_path_into_the_folder_itself_is_refused(folder):
    assert_refused(saved(folder, model(weights=[external(str(folder / "data.bin"))])), "not a path inside")


def hard_link(folder):
    os.link(folder.parent / "secret.bin", folder / "trap")


def soft_link(folder):
    (folder / "trap").symlink_to("../secret.bin")


def soft_link_inside(folder):
    (folder / "trap").symlink_to("data.bin")


def pipe(folder):
    os.mkfifo(folder / "trap")


def directory(folder):
    (folder / "trap").mkdir()


@pytest.mark.parametrize("trap", [hard_link, soft_link, soft_link_inside, pipe, directory])
def test_external_data_that_is_no_plain_file_is_refused(folder, trap):
    trap(folder)

    assert_refused(saved(folder, model(weights=[external("trap")])), "link|regular file")


def test_external_data_behind_a_linked_folder_is_refused(folder):
    (folder / "below").symlink_to("..")

    assert_refused(saved(folder, model(weights=[external("below/secret.bin")])), "link")


def test_missing_external_data_is_told(folder):
    assert_refused(saved(folder, model(weights=[external("gone.bin")])), "'gone.bin' is missing")


@pytest.mark.parametrize(
    ("tensor", "words"),
    [
        (external(offset=4), "reads bytes 4 to 260"),
        (external(offset=1 << 62), "reads bytes"),
        (external(offset=-4), "not a number of bytes"),
        (external(length=-1), "not a number of bytes"),
        (external(length=10**15), "should have 256 bytes"),
        (external(length="9" * 5000), "not a number of bytes"),
        (external(length=252), "should have 256 bytes"),
        (external(dims=(1 << 50,), length=4 << 50), "more than this machine has"),
        (external(dims=(1 << 40, 1 << 40), length=8), "more than this machine has"),
        (external(dims=(-64,)), "negative size"),
    ],
)
def test_offsets_and_lengths_that_do_not_fit_are_refused(folder, tensor, words):
    assert_refused(saved(folder, model(weights=[tensor])), words)


def test_a_location_said_twice_is_refused(folder):
    tensor = external()
    tensor.external_data.add(key="location", value="../secret.bin")

    assert_refused(saved(folder, model(weights=[tensor])), "twice")


def test_unknown_keys_of_external_data_set_nothing(folder):
    tensor = external(raw_data="x", __class__="x", checksum="0")

    assert list(safety.read_model(saved(folder, model(weights=[tensor]))).arrays) == ["w"]


def test_external_data_of_bytes_has_no_folder(folder):
    assert_refused(model(weights=[external()]).SerializeToString(), "bytes have no folder")


@pytest.mark.parametrize("where", ["constant", "sparse", "subgraph", "function"])
def test_external_data_is_checked_wherever_a_tensor_stands(folder, where):
    bad = external("../secret.bin")
    constant = helper.make_node("Constant", [], ["w"])
    constant.attribute.append(onnx.AttributeProto(name="value", type=onnx.AttributeProto.TENSOR, t=bad))
    add = helper.make_node("Add", ["x", "w"], ["y"])
    if where == "constant":
        made = model([constant, add], [])
    elif where == "sparse":
        indices = numpy_helper.from_array(np.arange(64), "i")
        made = model([add], [], sparse_initializer=[helper.make_sparse_tensor(bad, indices, [64])])
    elif where == "subgraph":
        branch = helper.make_graph([constant], "b", [], [value("w")])
        choose = helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)
        made = model([choose], [], inputs=[value("c", BOOL, [])])
    else:
        function = helper.make_function("f", "F", ["x"], ["y"], [constant, add], [helper.make_opsetid("", 21)])
        made = model([helper.make_node("F", ["x"], ["y"], domain="f")], [], [function])

    assert_refused(saved(folder, made), "not a path inside")


# --- data and shapes


@pytest.mark.parametrize(
    "tensor",
    [
        TensorProto(name="w", data_type=FLOAT, dims=[1 << 38]),
        TensorProto(name="w", data_type=FLOAT, dims=[1 << 20], raw_data=b"\0" * 8),
        TensorProto(name="w", data_type=FLOAT, dims=[64], raw_data=b"\0" * 257),
        TensorProto(name="w", data_type=FLOAT, dims=[64], float_data=[1.0]),
        TensorProto(name="w", data_type=FLOAT, dims=[2], int64_data=[1, 2]),
        TensorProto(name="w", data_type=INT64, dims=[64], float_data=[1.0] * 64),
        TensorProto(name="w", data_type=99, dims=[1], raw_data=b"\0"),
        TensorProto(name="w", data_type=TensorProto.STRING, dims=[1 << 40]),
        TensorProto(name="w", data_type=TensorProto.INT4, dims=[64], raw_data=b"\0"),
        TensorProto(name="w", data_type=FLOAT, dims=[-1], raw_data=b""),
    ],
)
def test_data_that_does_not_fill_its_shape_is_refused(tensor):
    assert_refused(model(weights=[tensor]), "should have|negative size|does not define|more than this machine")


@pytest.mark.parametrize(
    "nodes",
    [
        [helper.make_node("ConstantOfShape", ["n"], ["y"])],
        [helper.make_node("Expand", ["x", "n"], ["y"])],
        [helper.make_node("ConstantOfShape", ["n"], ["a"]), helper.make_node("Relu", ["a"], ["y"])],
    ],
)
def test_a_value_larger_than_the_machine_is_refused_before_it_is_made(nodes):
    size = numpy_helper.from_array(np.array([1 << 38, 64]), "n")
    made = model(nodes, [size])
    del made.graph.output[0].type.tensor_type.shape.dim[:]
    made.graph.output[0].type.tensor_type.ClearField("shape")

    assert_refused(made, "more than this machine has")


# --- structure


def relu(source, target):
    return helper.make_node("Relu", [source], [target], name=f"{source}>{target}")


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        ([relu("a", "b"), relu("b", "a"), relu("x", "y")], "a cycle, or unsorted"),
        ([relu("y", "y")], "a cycle, or unsorted"),
        ([relu("a", "y"), relu("x", "a")], "a cycle, or unsorted"),
        ([relu("nowhere", "y")], "which nothing makes"),
        ([relu("x", "y"), relu("x", "y")], "which is there already"),
        ([relu("x", "w"), relu("w", "y")], "which is there already"),
        ([relu("x", "x"), relu("x", "y")], "cycle|there already"),
        ([relu("x", "z")], "output 'y' of the graph is made by no node"),
        ([helper.make_node("LeakyRelu", ["x"], ["y"], alpha=0.1), *[]], None),
    ],
)
def test_values_are_made_once_and_before_they_are_used(nodes, words):
    if words is None:
        assert safety.read_model(model(nodes))
    else:
        assert_refused(model(nodes), words)


def test_an_initializer_or_input_named_twice_is_refused():
    weight = numpy_helper.from_array(WEIGHT, "w")

    assert_refused(model(weights=[weight, weight]), "initializer 'w' is there twice")
    assert_refused(model(inputs=[value("x"), value("x")]), "input 'x' is there twice")


def test_an_attribute_named_twice_is_refused():
    node = helper.make_node("LeakyRelu", ["x"], ["y"], alpha=0.1)
    node.attribute.append(helper.make_attribute("alpha", 0.2))

    assert_refused(model([node]), "is there twice")


def function(name, calls):
    return helper.make_function(
        "f", name, ["x"], ["y"], [helper.make_node(calls, ["x"], ["y"], domain="f" if calls != "Relu" else "")],
        [helper.make_opsetid("", 21), helper.make_opsetid("f", 1)],
    )  # fmt: skip


def test_functions_that_call_themselves_are_refused():
    call = [helper.make_node("F", ["x"], ["y"], domain="f")]

    assert_refused(model(call, [], [function("F", "F")]), "calls itself")
    assert_refused(model(call, [], [function("F", "G"), function("G", "F")]), "calls itself")
    assert_refused(model(call, [], [function("F", "Relu"), function("F", "Relu")]), "written twice")
    assert safety.read_model(model(call, [], [function("F", "G"), function("G", "Relu")]))


def loop(condition, trips):
    """A loop whose condition is a constant, what came in, or computed; with a count or without."""
    inner = {
        "constant": [helper.make_node("Constant", [], ["on"], value=numpy_helper.from_array(np.array(True)))],
        "handed on": [helper.make_node("Identity", ["c"], ["on"])],
        "computed": [helper.make_node("Less", ["i", "limit"], ["on"])],
    }[condition]
    body = helper.make_graph(
        [*inner, helper.make_node("Identity", ["v"], ["out"])],
        "body",
        [value("i", INT64, []), value("c", BOOL, []), value("v")],
        [value("on", BOOL, []), value("out")],
        [numpy_helper.from_array(np.array(3), "limit")],
    )
    first = [helper.make_node("Constant", [], ["t"], value=numpy_helper.from_array(np.array(True)))]
    if trips is not None:
        first.append(helper.make_node("Constant", [], ["m"], value=numpy_helper.from_array(np.array(trips))))
    node = helper.make_node("Loop", ["m" if trips is not None else "", "t", "x"], ["y"], body=body, name="spin")
    return model([*first, node], [])


@pytest.mark.parametrize(
    ("condition", "trips", "ends"),
    [
        ("constant", None, False), ("handed on", None, False), ("computed", None, True), ("constant", 5, True),
        ("constant", 1 << 62, False), ("handed on", 1 << 40, False), ("computed", 1 << 62, True),
    ],
)  # fmt: skip
def test_a_loop_without_an_end_is_refused(condition, trips, ends):
    if ends:
        assert safety.read_model(loop(condition, trips))
    else:
        assert_refused(loop(condition, trips), "'spin' .Loop. never ends")


def nested(depth):
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["out"])], "leaf", [], [value("out")])
    for _ in range(depth):
        node = helper.make_node("If", ["c"], ["out"], then_branch=graph, else_branch=graph)
        graph = helper.make_graph([node], "level", [], [value("out")])
    node = helper.make_node("If", ["c"], ["y"], then_branch=graph, else_branch=graph)
    return model([node], [], inputs=[value("x"), value("c", BOOL, [])])


def test_graphs_in_graphs_are_followed_and_see_outer_names():
    assert safety.read_model(nested(3))


def field(number, payload):
    """One entry of a protobuf message: a length, or a number."""
    if isinstance(payload, int):
        return bytes([number << 3, payload]) if number < 16 else bytes([number << 3 & 0x7F | 0x80, 1, payload])
    size, prefix = len(payload), b""
    while size > 0x7F:
        prefix, size = prefix + bytes([size & 0x7F | 0x80]), size >> 7
    return bytes([number << 3 | 2]) + prefix + bytes([size]) + payload


def test_sixty_ifs_inside_each_other_are_one_clear_error():
    """Written byte by byte: onnx's own helpers cannot build so deep a model."""
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["o"])], "leaf", [], [value("o")]).SerializeToString()
    for _ in range(60):
        branches = b"".join(
            field(5, field(1, name) + field(6, graph) + field(20, onnx.AttributeProto.GRAPH))
            for name in (b"then_branch",)
        )
        node = field(1, b"c") + field(2, b"o") + field(4, b"If") + branches
        graph = field(1, node) + field(2, b"g") + field(12, value("o").SerializeToString())
    opset = helper.make_opsetid("", 21).SerializeToString()

    assert_refused(field(1, 10) + field(7, graph) + field(8, opset), "the bytes")


# --- bytes


@pytest.mark.parametrize(
    "content", [b"", b"\0", b"garbage", bytes(range(256)), b"PK\x03\x04" + b"\0" * 100, b"\x08\x08" * 1000]
)
def test_foreign_bytes_are_refused(content):
    assert_refused(content, "the bytes")


def test_every_truncation_is_refused(folder):
    content = model().SerializeToString()

    for end in range(0, len(content) - 1, 7):
        assert_refused(content[:end], "the bytes")


@given(st.data())
def test_a_flipped_byte_is_read_or_refused_but_nothing_else(data):
    content = bytearray(model().SerializeToString())
    content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))

    try:
        outcome = safety.read_model(bytes(content))
    except ModelFileError as error:
        outcome = error

    assert isinstance(outcome, safety.Loaded | ModelFileError)


def test_names_that_are_not_utf8_are_refused():
    content = model([relu("x", "middle"), relu("middle", "y")]).SerializeToString()

    assert_refused(content.replace(b"middle", b"m\xff\xfedle"), "UTF-8|not an ONNX file")


def test_a_name_of_ten_megabytes_is_refused():
    name = "n" * (10 << 20)

    assert_refused(model([relu("x", name), relu(name, "y")]), "a name has")


@pytest.mark.parametrize("kind", ["missing", "folder", "pipe", "number"])
def test_sources_that_are_no_file(tmp_path, kind):
    if kind == "missing":
        with pytest.raises(FileNotFoundError, match="no such file"):
            safety.read_model(tmp_path / "gone.onnx")
    elif kind == "folder":
        with pytest.raises(FileNotFoundError, match=r"model\.onnx"):
            safety.read_model(tmp_path)
    elif kind == "pipe":
        os.mkfifo(tmp_path / "p.onnx")
        assert_refused(tmp_path / "p.onnx", "not a regular file")
    else:
        with pytest.raises(TypeError, match=r"expected a path.*got int"):
            safety.read_model(3)


def test_a_file_beyond_protobufs_limit_is_refused_unread(tmp_path):
    with open(tmp_path / "big.onnx", "wb") as file:
        file.truncate(3 << 30)

    assert_refused(tmp_path / "big.onnx", "at most")


def test_the_checker_has_its_say():
    assert_refused(model([helper.make_node("Nonsense", ["x"], ["y"])]), r"checker.*Nonsense")
