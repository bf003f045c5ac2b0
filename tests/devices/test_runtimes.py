"""Each runtime: it gives what the graph says, in any type, and names the operators that it lacks."""

import ml_dtypes
import numpy as np
import pytest
from onnx import TensorProto, helper

from mcore import ort_values
from mcore.devices import UnsupportedOperator, find
from mcore.devices.on_onnxruntime import CPU, OnnxRuntime
from mcore.devices.on_onnxruntime import lacking as lacking_in_onnxruntime
from mcore.devices.on_openvino import _said
from mcore.exchange.errors import ModelFileError
from mcore.exchange.ortrun import Runner
from tests.devices import graphs
from tests.devices.graphs import here
from tests.isolation import failure, run

HERE = ["torch-cpu", "onnxruntime-cpu", "openvino-cpu", "reference"]


@pytest.fixture(params=HERE)
def device(request):
    return here(request.param)


def loaded(device, folder, graph):
    device.load(graphs.write(folder, graph))
    return device


@pytest.mark.parametrize("shape", graphs.SHAPES)
def test_a_graph_runs_at_any_size(device, tmp_path, shape):
    device.load(graphs.negation(tmp_path))

    [got] = device.run([graphs.ramp(shape)])

    np.testing.assert_array_equal(got, -graphs.ramp(shape))


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        (TensorProto.FLOAT, np.float32), (TensorProto.DOUBLE, np.float64), (TensorProto.FLOAT16, np.float16),
        (TensorProto.BFLOAT16, ml_dtypes.bfloat16), (TensorProto.INT64, np.int64), (TensorProto.INT32, np.int32),
        (TensorProto.UINT8, np.uint8), (TensorProto.BOOL, np.bool_),
    ],
)  # fmt: skip
def test_every_type_goes_in_and_out_to_the_bit(device, tmp_path, kind, dtype):
    x = graphs.ramp((2, 3, 4, 5)).astype(dtype)
    graph = graphs.model(
        [helper.make_node("Transpose", ["x"], ["y"], perm=[0, 2, 3, 1])],
        [graphs.value("x", kind)], [graphs.value("y", kind, ("n", "h", "w", 3))],
    )  # fmt: skip

    [got] = loaded(device, tmp_path, graph).run([x])

    assert got.dtype == dtype
    np.testing.assert_array_equal(got, x.transpose(0, 2, 3, 1))


def test_outputs_come_in_the_graphs_order_and_unused_inputs_are_taken(device, tmp_path):
    nodes = [helper.make_node("Neg", ["b"], ["negative"]), helper.make_node("Abs", ["b"], ["size"])]
    names = ("size", "negative")
    graph = graphs.model(nodes, [graphs.value("unused"), graphs.value("b")], [graphs.value(name) for name in names])
    x = graphs.ramp((1, 3, 2, 2))

    size, negative = loaded(device, tmp_path, graph).run([np.zeros((1, 3, 2, 2), np.float32), x])

    np.testing.assert_array_equal(size, np.abs(x))
    np.testing.assert_array_equal(negative, -x)


def test_results_stay_what_they_were_when_it_runs_again(device, tmp_path):
    device.load(graphs.negation(tmp_path))
    x = graphs.ramp((1, 3, 4, 4))

    [first] = device.run([x])
    device.run([x + 1])

    np.testing.assert_array_equal(first, -x)


def test_what_goes_in_is_not_changed(device, tmp_path):
    device.load(graphs.negation(tmp_path))
    x = graphs.ramp((1, 3, 4, 4))

    device.run([x])

    np.testing.assert_array_equal(x, graphs.ramp((1, 3, 4, 4)))


# The evaluator computes with what it is given; the check sees it by the result's type.
@pytest.mark.parametrize("name", HERE[:3])
def test_an_input_of_another_type_is_an_error(name, tmp_path):
    device = here(name)
    graph = graphs.model([helper.make_node("MatMul", ["x", "x"], ["y"])], [graphs.value("x")], [graphs.value("y")])
    x = graphs.ramp((1, 3, 4, 4), np.int64)

    with pytest.raises(Exception, match=r"(?i)type|float|precision"):
        loaded(device, tmp_path, graph).run([x])


@pytest.mark.parametrize(
    ("name", "graph", "operators"),
    [
        *((name, graphs.custom(), ("my.ops:Fold",)) for name in HERE),
        ("torch-cpu", graphs.pooled_regions(), ("MaxRoiPool",)),
        ("reference", graphs.pooled_regions(), ("MaxRoiPool",)),
        ("openvino-cpu", graphs.lacking("Det"), ("Det",)),
        ("openvino-cpu", graphs.volumes_sampled(), ("GridSample",)),
        ("onnxruntime-cpu", graphs.lacking("Erf", TensorProto.DOUBLE), ("Erf",)),
        ("onnxruntime-cpu", graphs.lacking("HardSigmoid", TensorProto.BFLOAT16, opset=22), ("HardSigmoid",)),
    ],
)  # fmt: skip
def test_operators_that_a_runtime_lacks_are_named(tmp_path, name, graph, operators):
    device = here(name)

    with pytest.raises(UnsupportedOperator) as raised:
        loaded(device, tmp_path, graph)

    assert raised.value.operators == operators


def test_several_lacking_operators_are_all_named(tmp_path):
    nodes = [helper.make_node("Det", ["x"], ["d"]), helper.make_node("Fold", ["d"], ["y"], domain="my.ops")]
    graph = graphs.model(
        nodes, [graphs.value("x", shape=(2, 2))], [graphs.value("y", shape=())], **{"my.ops": 1}
    )  # fmt: skip

    with pytest.raises(UnsupportedOperator) as raised:
        loaded(here("openvino-cpu"), tmp_path, graph)

    assert set(raised.value.operators) == {"Det", "my.ops:Fold"}


def test_why_a_known_operator_is_not_taken_is_told(tmp_path):
    with pytest.raises(UnsupportedOperator, match="only supported for 4D input tensors"):
        loaded(here("openvino-cpu"), tmp_path, graphs.volumes_sampled())


def test_an_operator_without_a_name_in_its_set_is_named_with_its_domain():
    text = (
        'This is an invalid model. In Node, ("up.fold", Fold, "my.ops", -1) : ("x": tensor(float),) -> ("y",) , '
        "Error No Op registered for Fold with domain_version of 18"
    )

    assert lacking_in_onnxruntime(text) == ["my.ops:Fold"]


def test_strings_are_refused_by_openvino_before_they_end_the_process(tmp_path):
    graph = graphs.lacking("Identity", TensorProto.STRING)

    with pytest.raises(NotImplementedError, match="openvino-cpu: x is of strings; only numbers are run"):
        loaded(here("openvino-cpu"), tmp_path, graph)


def test_openvinos_errors_tell_what_is_wrong_and_not_where_in_its_source():
    text = "Exception from src/a.cpp:84:\nCheck 'false' failed at src/b.cpp:151:\nThe input has no size.\n"

    assert _said(RuntimeError(text)) == "The input has no size."


# --- what stands on the disk


def test_a_folder_that_is_not_there_is_said(device, tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no such folder"):
        device.load(tmp_path / "gone")


def test_a_damaged_file_never_reaches_the_runtime(device, tmp_path):
    graphs.negation(tmp_path)
    (tmp_path / "model.onnx").write_bytes((tmp_path / "model.onnx").read_bytes()[:40])

    with pytest.raises(ModelFileError, match=r"model\.onnx"):
        device.load(tmp_path)


# --- torch


def test_torch_loads_nothing_where_another_engine_speaks(tmp_path):
    graphs.negation(tmp_path)
    tried = f"from mcore.devices import find; find('torch-cpu').load({str(tmp_path)!r})"

    said = failure(tried, engine="platform")

    assert said.startswith("RuntimeError: torch-cpu: only the torch engine has it")


def test_an_artifact_is_run_as_its_own_class(tmp_path):
    said = run(
        f"""
        from pathlib import Path
        import mcore
        from mcore.devices import find
        from tests.exchange.nets import Net, filled
        filled(Net(5)).toplatform("{tmp_path}/net", sizes=[(1, 3, 16, 12)])
        filled(Net(5)).toplatform("{tmp_path}/bare", sizes=[(1, 3, 16, 12)], description=False)
        for name in ("net", "bare"):
            device = find("torch-cpu")
            device.load(Path("{tmp_path}") / name)
            print(type(device.module).__name__)
        """,
        engine="torch",
    )

    assert said.split() == ["Net", "OnnxModule"]


def test_torch_computes_with_one_thread_and_gives_the_others_back(tmp_path):
    torch = pytest.importorskip("torch")
    device = here("torch-cpu")
    device.load(graphs.negation(tmp_path))
    seen, before = [], torch.get_num_threads()
    device.module.register_forward_hook(lambda *_: seen.append(torch.get_num_threads()))
    torch.set_num_threads(2)
    try:
        device.run([graphs.ramp((1, 3, 4, 4))])
        after = torch.get_num_threads()
    finally:
        torch.set_num_threads(before)

    assert (seen, after) == ([1], 2)


@pytest.mark.gpu
def test_torch_on_a_gpu_gives_what_the_graph_says(tmp_path):
    device = here("torch-cuda")
    device.load(graphs.negation(tmp_path))

    [got] = device.run([graphs.ramp((2, 3, 4, 5))])

    np.testing.assert_array_equal(got, -graphs.ramp((2, 3, 4, 5)))


def test_a_module_that_counts_its_calls_counts_none_of_the_devices(tmp_path):
    said = run(
        f"""
        from pathlib import Path
        import mcore, numpy as np
        from mcore.devices import find
        from tests.devices.graphs import Counting
        Counting().eval().toplatform("{tmp_path}/net", sizes=[(1, 3, 4, 4)])
        device = find("torch-cpu")
        device.load(Path("{tmp_path}/net"))
        x = np.ones((1, 3, 4, 4), np.float32)
        print([float(device.run([x])[0].max()) for _ in range(3)])
        """,
        engine="torch",
    )

    assert said == "[1.0, 1.0, 1.0]"


# --- execution providers


class Cloud(OnnxRuntime):
    """A provider that every build has and that takes no node: what an accelerator without its library is like."""

    name, title, kind = "onnxruntime-cloud", "ONNX Runtime, cloud", "cloud"


@pytest.fixture
def cloud(monkeypatch):
    import onnxruntime

    if "AzureExecutionProvider" not in onnxruntime.get_available_providers():
        pytest.skip("this build of onnxruntime has no provider besides the CPU's")
    monkeypatch.setitem(ort_values.PROVIDERS, "cloud", "AzureExecutionProvider")
    return Cloud()


def test_a_provider_that_takes_no_node_is_a_failure_and_not_the_cpus_success(cloud, tmp_path):
    assert cloud.available()
    with pytest.raises(RuntimeError, match="gave no node of the graph to AzureExecutionProvider"):
        cloud.load(graphs.negation(tmp_path))


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_a_provider_that_the_runtime_drops_is_a_failure(tmp_path):
    graphs.negation(tmp_path)

    with pytest.raises(RuntimeError, match="ONNX Runtime dropped DmlExecutionProvider; it uses CPUExecutionProvider"):
        Runner(str(tmp_path / "model.onnx"), providers=["DmlExecutionProvider", "CPUExecutionProvider"])


def test_nodes_are_counted_where_they_run(tmp_path):
    graphs.negation(tmp_path)

    runner = Runner(str(tmp_path / "model.onnx"), placed=True)

    assert runner.nodes_on("CPUExecutionProvider") in (1, None)
    assert runner.nodes_on("CUDAExecutionProvider") in (0, None)


@pytest.mark.parametrize("kind", ["cuda", "tensorrt", "openvino"])
def test_a_provider_that_this_build_lacks_says_what_to_install(kind, monkeypatch):
    from mcore.devices import on_onnxruntime

    monkeypatch.setattr(on_onnxruntime, "_has", lambda kind: False)
    device = find(f"onnxruntime-{kind}")
    package = "onnxruntime-openvino" if kind == "openvino" else "onnxruntime-gpu"

    assert not device.available()
    assert f"ExecutionProvider: pip install {package} in place of onnxruntime" in device.reason


@pytest.mark.parametrize("name", ["onnxruntime-cuda", "onnxruntime-tensorrt"])
def test_a_machine_without_a_driver_has_no_cuda_though_the_build_has(name, monkeypatch):
    from mcore.devices import on_onnxruntime

    monkeypatch.setattr(on_onnxruntime, "_has", lambda kind: True)
    monkeypatch.setattr(on_onnxruntime, "without_driver", lambda: "there is no NVIDIA driver")
    device = find(name)

    assert (device.available(), device.reason) == (False, "there is no NVIDIA driver")


def test_sessions_compute_with_one_thread(tmp_path):
    device = CPU()
    device.load(graphs.negation(tmp_path))

    assert device.runner.session.get_session_options().intra_op_num_threads == 1


def test_openvino_computes_float32_as_it_is_written_and_with_one_thread(tmp_path):
    device = here("openvino-cpu")
    device.load(graphs.negation(tmp_path))
    compiled = device.request.get_compiled_model()

    assert compiled.get_property("INFERENCE_NUM_THREADS") == 1
    assert "ACCURACY" in str(compiled.get_property("EXECUTION_MODE_HINT"))
