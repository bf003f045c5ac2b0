"""Artifacts of a few nodes, in the layout of ONNX's own tools, and devices that do one thing wrong."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import mcore
from mcore.devices import Device, find

SHAPES = [(1, 3, 8, 6), (2, 3, 5, 7), (3, 3, 4, 4)]


def here(name):
    """The device of this name; where it isn't available, the test is skipped with the reason."""
    device = find(name)
    if not device.available():
        pytest.skip(device.reason)
    return device


def value(name, kind=TensorProto.FLOAT, shape=("n", 3, "h", "w")):
    return helper.make_tensor_value_info(name, kind, shape)


def model(nodes, inputs, outputs, *, weights=(), opset=18, **domains):
    graph = helper.make_graph(nodes, "graph", inputs, outputs, initializer=list(weights))
    sets = [helper.make_opsetid(domain, version) for domain, version in {"": opset, **domains}.items()]
    return helper.make_model(graph, opset_imports=sets, ir_version=10)


def write(folder, graph, sets=()):
    """The folder of a graph and data sets (inputs, outputs)."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(graph.SerializeToString())
    for number, (inputs, outputs) in enumerate(sets):
        place = folder / f"test_data_set_{number}"
        place.mkdir()
        for kind, arrays in (("input", inputs), ("output", outputs)):
            for k, array in enumerate(arrays):
                (place / f"{kind}_{k}.pb").write_bytes(numpy_helper.from_array(array).SerializeToString())
    return folder


def ramp(shape, kind=np.float32):
    return (np.arange(np.prod(shape)).reshape(shape) % 7 - 3).astype(kind)


def negation(folder):
    """An artifact that negates, with right outputs at SHAPES."""
    graph = model([helper.make_node("Neg", ["x"], ["y"])], [value("x")], [value("y")])
    return write(folder, graph, [([ramp(shape)], [-ramp(shape)]) for shape in SHAPES])


def custom():
    """A graph of an operator that nobody knows."""
    return model([helper.make_node("Fold", ["x"], ["y"], domain="my.ops")], [value("x")], [value("y")], **{"my.ops": 1})


def lacking(op, kind=TensorProto.FLOAT, *, opset=20, result=None, **attributes):
    """A graph of one operator that some runtime lacks."""
    node = helper.make_node(op, ["x"], ["y"], **attributes)
    return model([node], [value("x", kind, ("n", 3))], [value("y", result or kind, ("n", 3))], opset=opset)


def pooled_regions():
    node = helper.make_node("MaxRoiPool", ["x", "regions"], ["y"], pooled_shape=[2, 2], name="pool")
    return model([node], [value("x"), value("regions", shape=("k", 5))], [value("y", shape=("k", 3, 2, 2))])


def volumes_sampled():
    """GridSample of volumes, which OpenVINO knows for images alone."""
    node = helper.make_node("GridSample", ["x", "grid"], ["y"])
    volume, grid = value("x", shape=(1, 3, 4, 5, 6)), value("grid", shape=(1, 4, 5, 6, 3))
    return model([node], [volume, grid], [value("y", shape=(1, 3, 4, 5, 6))], opset=20)


class Fake(Device):
    """Negates, unless told otherwise."""

    name, title = "fake", "Fake"

    def __init__(self, run=None, load=None):
        self.answer, self.loading, self.calls = run, load, 0

    def version(self):
        return "1.2"

    def load(self, artifact):
        if self.loading:
            raise self.loading

    def run(self, inputs):
        self.calls += 1
        return self.answer(inputs) if self.answer else [-array for array in inputs]


def output_of(folder, number, change):
    """Changes an output that stands in a data set."""
    path = folder / f"test_data_set_{number}" / "output_0.pb"
    array = change(np.array(numpy_helper.to_array(onnx.load_tensor(path))))
    path.write_bytes(numpy_helper.from_array(array).SerializeToString())


class Counting(mcore.Module):
    """Gives how often it was called."""

    def __init__(self):
        super().__init__()
        self.register_buffer("count", mcore.tensor(0.0))

    def forward(self, x):
        self.count += 1.0
        return x * 0.0 + self.count
