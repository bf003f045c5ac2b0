"""Recording torch modules: what runs in torch, what is recorded, and what is never silently wrong."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mcore.exchange.export import export, to_onnx
from mcore.exchange.ortrun import Runner


class Forward(nn.Module):
    """A module whose forward is a function of the module and its inputs."""

    def __init__(self, function, **parts):
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, *inputs):
        return self.function(self, *inputs)


def assert_same_at(net, *sizes, tolerance=1e-5, **options):
    """Exports at the first size and compares with torch at all of them."""
    torch.manual_seed(0)
    model = to_onnx(net, torch.randn(sizes[0]), strict=True, **options)
    for size in sizes:
        x = torch.randn(size)
        with torch.no_grad():
            want = net(x.clone()).numpy()
        got = Runner(model.SerializeToString())([x.numpy()])[0]
        assert got.shape == want.shape
        np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)
    return model


def test_a_module_nobody_here_wrote_exports_with_open_batch_and_sizes():
    net = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2)).eval()

    report = export(net, torch.randn(1, 3, 32, 24), strict=True).report

    assert report.axes["input"] == {0: "batch", 2: "height", 3: "width"}
    assert not report.fixed


def test_weights_keep_their_state_dict_names_and_content():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).eval()

    model = to_onnx(net, torch.randn(1, 3, 8, 8), strict=True)

    found = {t.name: np.frombuffer(t.raw_data, np.float32) for t in model.graph.initializer}
    for name, tensor in net.state_dict().items():
        if tensor.dtype is torch.float32:
            assert np.array_equal(found[name], tensor.numpy().ravel()), name


class Named(nn.Module):
    """Gives results under names that inputs, a weight and other results have."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3))

    def forward(self, boxes, scores):
        scaled = boxes * self.scale
        return {"boxes": scaled, "scores": scores, "scale": scores + 1, "a": {"b": scaled + 1}, "a_b": scaled + 2}


def test_a_result_called_like_an_input_a_weight_or_another_result_gets_a_number():
    boxes, scores = torch.randn(2, 3), torch.randn(2)

    exported = export(Named(), (boxes, scores), strict=True)

    assert exported.output_names == ["boxes_1", "scores_1", "scale_1", "a_b", "a_b_1"]
    assert "output 'boxes' is called 'boxes_1': the file has another 'boxes'" in exported.report.notes
    assert {"scale"} <= {tensor.name for tensor in exported.model.graph.initializer}
    got = Runner(exported.model.SerializeToString())([boxes.numpy(), scores.numpy()])
    np.testing.assert_array_equal(got[0], boxes.numpy())
    np.testing.assert_array_equal(got[4], boxes.numpy() + 2)


def test_numbers_do_not_take_the_name_of_a_later_result():
    net = Forward(lambda self, x: {"inputs": x + 1, "inputs_1": x + 2})

    found = export(net, torch.randn(2, 3), input_names=["inputs"], strict=True).output_names

    assert found == ["inputs_2", "inputs_1"]


def test_outputs_can_not_be_asked_to_bear_the_names_of_inputs():
    with pytest.raises(ValueError, match="output_names: input can't name outputs, since inputs are called so"):
        export(nn.ReLU(), torch.randn(2, 3), output_names=["input"])


def test_a_size_computed_through_floats_stays_symbolic():
    net = Forward(lambda self, x: F.pad(x, (0, math.ceil(x.shape[3] / 7) * 7 - x.shape[3])))

    assert_same_at(net, (1, 2, 8, 9), (2, 2, 5, 15), (1, 2, 6, 21))


def test_a_position_embedding_resized_to_the_input_follows_the_input():
    net = Forward(
        lambda self, x: x + F.interpolate(self.embed, size=x.shape[2:], mode="bilinear"),
        embed=nn.Parameter(torch.randn(1, 3, 4, 4)),
    )

    assert_same_at(net, (1, 3, 8, 10), (2, 3, 13, 7))


def test_zeros_that_are_written_later_do_not_stay_zeros():
    def forward(self, x):
        out = torch.zeros(2, 4)
        out[:, :3] = x
        return out

    assert_same_at(Forward(forward), (2, 3), dynamic=None)


def test_a_write_through_a_view_of_a_real_tensor_reaches_it():
    def forward(self, x):
        out = torch.zeros(2, 4)
        row = out[1]
        row.view(2, 2)[0].add_(x[0, :2])
        return out * 2

    assert_same_at(Forward(forward), (2, 3), dynamic=None)


def test_functions_of_parameters_alone_become_constants():
    def forward(self, x):
        weight = self.weight
        standard = (weight - weight.mean((1, 2, 3), keepdim=True)) / weight.std((1, 2, 3), keepdim=True)
        return F.conv2d(x, standard)

    model = assert_same_at(Forward(forward, weight=nn.Parameter(torch.randn(4, 3, 3, 3))), (1, 3, 8, 8), (2, 3, 9, 7))

    assert [node.op_type for node in model.graph.node] == ["Conv"]


def test_a_counter_buffer_is_as_before_after_recording():
    def forward(self, x):
        self.count += 1
        return x + self.count

    net = Forward(forward)
    net.register_buffer("count", torch.zeros(()))

    to_onnx(net, torch.randn(1, 3), strict=True)

    assert net.count.item() == 0


def test_a_loop_over_a_size_fixes_the_axis_and_names_the_line():
    def forward(self, x):
        for step in range(x.shape[2]):
            x = x + step
        return x

    report = export(Forward(forward), torch.randn(1, 3, 5, 4), strict=True).report

    assert (len(report.fixed) == 1 and report.fixed[0].startswith("inputs[2] = 5")) or "[2] = 5" in report.fixed[0]
    assert "test_recording.py" in report.fixed[0]


def test_a_comparison_of_a_size_is_a_guard_with_its_line():
    def forward(self, x):
        return x.relu() if x.shape[2] > 2 else x

    report = export(Forward(forward), torch.randn(1, 3, 5, 4), strict=True).report

    assert any("height > 2" in guard and "test_recording.py" in guard for guard in report.guards)


def test_reading_a_value_is_refused_with_the_line():
    def forward(self, x):
        return x if x.sum() > 0 else -x

    with pytest.raises(RuntimeError, match=r"Reading a tensor's value.*test_recording\.py:\d+"):
        to_onnx(Forward(forward), torch.randn(2, 3), strict=True)


def test_a_function_without_a_word_goes_to_the_exporter_of_torch_and_the_report_says_so():
    net = Forward(lambda self, x: torch.special.i0(x) if False else torch.linalg.inv(x))

    with pytest.raises(NotImplementedError, match="has no word"):
        to_onnx(net, torch.eye(3)[None], strict=True)


def test_a_scripted_function_is_named():
    @torch.jit.script
    def scripted(x):
        return x * 2

    with pytest.raises(NotImplementedError, match="scripted"):
        to_onnx(Forward(lambda self, x: scripted(x)), torch.randn(2, 3), strict=True)


def test_a_recorded_tensor_passes_for_a_tensor():
    seen = []

    def forward(self, x):
        seen.append((isinstance(x, torch.Tensor), torch.is_tensor(x), x.dtype is torch.float32, x.dim()))
        return x + 1

    to_onnx(Forward(forward), torch.randn(2, 3), strict=True)

    assert set(seen) == {(True, True, True, 2)}


@pytest.mark.parametrize(
    "layer",
    [
        nn.LSTM(4, 5, 2, bidirectional=True, batch_first=True),
        nn.GRU(4, 5, batch_first=True),
        nn.TransformerEncoderLayer(4, 2, 8, batch_first=True),
        nn.MultiheadAttention(4, 2, batch_first=True),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_layers_with_sequences_export_with_open_batch_and_length(layer):
    layer = layer.eval()
    net = Forward(
        lambda self, x: self.layer(x, x, x)[0] if isinstance(layer, nn.MultiheadAttention)
        else (self.layer(x)[0] if isinstance(layer, nn.RNNBase) else self.layer(x)),
        layer=layer,
    )  # fmt: skip

    assert_same_at(net.eval(), (2, 3, 4), (3, 7, 4), dynamic={0: [0, 1]})


def test_weight_norm_is_folded():
    net = nn.utils.parametrizations.weight_norm(nn.Linear(3, 4)).eval()

    model = assert_same_at(net, (2, 3), (5, 3))

    assert [node.op_type for node in model.graph.node] == ["Gemm"]


def test_graphs_are_clean_no_identity_no_dead_node_no_constant_twice():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.act, self.drop = nn.PReLU(), nn.Dropout()

        def forward(self, x):
            unused = x * 3  # noqa: F841
            a, b = (x + 2).relu(), (x + 2).relu()
            return self.drop(self.act(a) + b * 2)

    model = to_onnx(Twice().eval(), torch.randn(2, 3), strict=True)

    contents = [(t.data_type, tuple(t.dims), t.raw_data) for t in model.graph.initializer]
    assert len(contents) == len(set(contents))
    ops = [node.op_type for node in model.graph.node]
    assert not {"Identity", "Dropout"} & set(ops)
    assert ops.count("Relu") == 1


def test_folding_leaves_no_norm_and_the_same_numbers():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 1), nn.BatchNorm2d(2)).eval()
    for norm in (net[1], net[4]):
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)

    model = assert_same_at(net, (1, 3, 8, 8), (2, 3, 9, 11), fold=True)

    assert [node.op_type for node in model.graph.node] == ["Conv", "Relu", "Conv"]


def test_the_second_export_is_as_the_first():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval()
    x = torch.randn(1, 3, 8, 8)

    first, second = to_onnx(net, x, strict=True), to_onnx(net, x, strict=True)

    assert first.SerializeToString() == second.SerializeToString()


def test_an_axis_asked_for_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match=r"input input has 2 axes, there is no axis 5"):
        to_onnx(nn.ReLU(), torch.randn(2, 3), dynamic={"input": [5]})


class Masked(nn.Module):
    def forward(self, tokens, ids, mask):
        return (tokens + ids[:, :, None]) @ mask


def test_axes_of_one_size_in_several_inputs_are_opened_together():
    first = [torch.randn(2, 4, 5), torch.zeros(2, 4), torch.randn(2, 5, 5)]
    second = [torch.randn(3, 7, 6), torch.zeros(3, 7), torch.randn(3, 6, 6)]

    report = export(Masked().eval(), tuple(first), others=[tuple(second)]).report

    assert report.axes["ids"] == {0: "batch", 1: report.axes["tokens"][1]}
    assert set(report.axes["mask"].values()) == {"batch", report.axes["tokens"][2]}
    assert report.axes["tokens"][1] != report.axes["tokens"][2]
    assert not report.fixed


class Evened(nn.Module):
    def forward(self, x):
        return x[:, :, 1:] if x.shape[2] % 2 else x


def test_a_guard_says_what_held_when_it_was_recorded():
    even = export(Evened().eval(), torch.randn(1, 3, 8, 8)).report
    odd = export(Evened().eval(), torch.randn(1, 3, 9, 8)).report

    assert [guard.partition(";")[0] for guard in even.guards] == ["(height)%(2) == 0"]
    assert [guard.partition(";")[0] for guard in odd.guards] == ["(height)%(2) != 0"]


def test_a_dynamic_that_says_nothing_is_refused():
    with pytest.raises(ValueError, match="dynamic=True: expected 'auto', a mapping"):
        export(Evened().eval(), torch.randn(1, 3, 8, 8), dynamic=True)
