"""Every layer against torch's: constructor, state, printing, outputs in evaluation and training."""

import copy
import inspect
import pickle
import re
import warnings

import pytest
import torch

import mcore.platform as platform
from mcore import vocabulary
from tests.platform.engines import assert_same, assert_same_state, both, on_platform, on_torch, tensor
from tests.platform.layer_cases import LAYER_CASES

cases = pytest.mark.parametrize("case", LAYER_CASES, ids=lambda case: case.id)
runnable = pytest.mark.parametrize(
    "case", [case for case in LAYER_CASES if not case.unsupported], ids=lambda case: case.id
)


def call(layer, case, arguments, engine):
    return layer(*engine(arguments), **engine(case.call))


def test_every_layer_of_the_vocabulary_has_a_case():
    assert set(vocabulary.LAYERS) == {case.name for case in LAYER_CASES} | {
        "TransformerEncoder",
        "TransformerDecoder",
    }


@pytest.mark.parametrize("name", [*vocabulary.LAYERS, *vocabulary.CONTAINERS])
def test_constructor_and_forward_take_what_torchs_take(name):
    if name in ("Parameter", "Buffer"):
        pytest.skip("torch's are written by a metaclass")
    for method in ("__init__", "forward"):
        ours, theirs = (getattr(getattr(place, name), method, None) for place in (platform, torch.nn))
        given = [
            [(p.name, p.kind, p.default) for p in inspect.signature(function).parameters.values()]
            for function in (ours, theirs)
        ]
        for (one, kind, default), (other, their_kind, their_default) in zip(*given, strict=True):
            assert (one, kind) == (other, their_kind)
            assert default == their_default or callable(default)


@cases
def test_state_has_torchs_keys_shapes_types_and_order(case):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = getattr(torch.nn, case.name)(*on_torch(case.args), **on_torch(case.kwargs)).state_dict()
        ours = getattr(platform, case.name)(*on_platform(case.args), **on_platform(case.kwargs)).state_dict()

    assert [(key, tuple(t.shape), str(t.dtype).split(".")[1]) for key, t in ours.items()] == [
        (key, tuple(t.shape), str(t.dtype).split(".")[1]) for key, t in theirs.items()
    ]


@cases
def test_prints_as_torchs(case):
    theirs, ours = both(case)

    assert repr(ours) == repr(theirs)


@runnable
def test_evaluates_as_torchs_at_two_sizes(case):
    theirs, ours = both(case)
    theirs.eval(), ours.eval()

    for arguments in (case.inputs, case.other):
        if arguments is not None:
            with torch.no_grad():
                wanted = call(theirs, case, arguments, on_torch)
            got = call(ours, case, arguments, on_platform)
            assert_same(got, wanted, rtol=case.rtol, atol=case.atol)


@runnable
def test_trains_as_torchs_three_times(case):
    if case.random:
        pytest.skip("its outputs in training are drawn")
    theirs, ours = both(case)

    for arguments in (case.inputs, case.other or case.inputs, case.inputs):
        with torch.no_grad():
            wanted = call(theirs, case, arguments, on_torch)
        assert_same(call(ours, case, arguments, on_platform), wanted, rtol=case.rtol, atol=case.atol)
    assert_same_state(ours, theirs, rtol=case.rtol, atol=case.atol)


@runnable
@pytest.mark.parametrize("again", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))], ids=["copy", "pickle"])
def test_a_copy_computes_the_same(case, again):
    _, ours = both(case)
    copied = again(ours.eval())

    assert repr(copied) == repr(ours)
    assert_same(
        call(copied, case, case.inputs, on_platform),
        call(ours, case, case.inputs, on_platform),
        rtol=0,
        atol=0,
    )


@pytest.mark.parametrize("case", [c for c in LAYER_CASES if c.unsupported], ids=lambda case: case.id)
def test_what_onnx_cannot_express_is_refused_by_name(case):
    _, ours = both(case)

    with pytest.raises(NotImplementedError, match=re.escape(case.unsupported)) as caught:
        call(ours, case, case.inputs, on_platform)

    assert "MCORE_BACKEND=torch" in str(caught.value)


@pytest.mark.parametrize("case", [c for c in LAYER_CASES if c.random], ids=lambda case: case.id)
def test_draws_anew_at_each_training_call_and_repeats_after_a_seed(case):
    _, ours = both(case)
    platform.manual_seed(5)
    first, second = (call(ours, case, case.inputs, on_platform) for _ in range(2))
    platform.manual_seed(5)
    again = call(ours, case, case.inputs, on_platform)

    assert_same(again, first, rtol=0, atol=0)
    with pytest.raises(AssertionError):
        assert_same(second, first, rtol=0, atol=0)


# --- refusals, in torch's words -------------------------------------------------------------------

REFUSED = [
    ("Conv2d", (3, 4, 3), {"groups": 2}),
    ("Conv2d", (4, 3, 3), {"groups": 2}),
    ("Conv2d", (4, 4, 3), {"groups": 0}),
    ("Conv2d", (4, 4, 3), {"padding": "same", "stride": 2}),
    ("ConvTranspose2d", (4, 4, 3), {"padding_mode": "reflect"}),
    ("GroupNorm", (4, 6), {}),
    ("Dropout", (1.5,), {}),
    ("Hardtanh", (1.0, -1.0), {}),
    ("MultiheadAttention", (6, 4), {}),
    ("MultiheadAttention", (0, 4), {}),
    ("Embedding", (4, 2), {"padding_idx": 4}),
    ("Unflatten", (1, 3), {}),
    ("Unflatten", (1, (2, 1.5)), {}),
    ("LSTM", (4, 0), {}),
    ("LSTM", (4, 3), {"proj_size": 3}),
    ("LSTM", (4, 3), {"dropout": 2}),
    ("GRU", (4, 3), {"proj_size": 3}),
    ("RNN", (4, 3), {"nonlinearity": "sin"}),
    ("TransformerEncoderLayer", (8, 2), {"activation": "sin"}),
    ("HuberLoss", (), {"delta": "1"}),
    ("MultiMarginLoss", (3,), {}),
    ("TripletMarginLoss", (-1.0,), {}),
    ("Bilinear", (0, 4, 3), {}),
]


@pytest.mark.parametrize(("name", "args", "kwargs"), REFUSED)
def test_a_constructor_refuses_in_torchs_words(name, args, kwargs):
    with pytest.raises(Exception) as theirs:  # noqa: PT011 - the class and words are compared below
        getattr(torch.nn, name)(*args, **kwargs)

    with pytest.raises(theirs.type) as ours:
        getattr(platform, name)(*args, **kwargs)

    assert str(ours.value) == str(theirs.value)


CALLED_WRONG = [
    ("BatchNorm2d", (6,), (2, 6, 5)),
    ("BatchNorm1d", (6,), (2, 6, 5, 5)),
    ("InstanceNorm2d", (6,), (2, 6)),
    ("Softmax2d", (), (2, 3)),
    ("CircularPad2d", (1,), (2, 3)),
    ("LSTM", (4, 3), (2, 3, 4, 4)),
    ("GRU", (4, 3), (2, 3, 5)),
    ("LSTMCell", (4, 3), (2, 3, 4)),
]


@pytest.mark.parametrize(("name", "args", "shape"), CALLED_WRONG)
def test_a_call_with_a_wrong_shape_is_refused_in_torchs_words(name, args, shape):
    with pytest.raises(Exception) as theirs:  # noqa: PT011 - the class and words are compared below
        getattr(torch.nn, name)(*args)(torch.zeros(shape))

    with pytest.raises(theirs.type) as ours:
        getattr(platform, name)(*args)(tensor([0.0] * 1).new_zeros(shape))

    assert str(theirs.value).rstrip(".") in str(ours.value)


# --- what the cases don't say ---------------------------------------------------------------------


@pytest.mark.parametrize("norm_first", [False, True])
def test_a_stack_of_encoder_layers_is_torchs(norm_first):
    def build(nn):
        layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, norm_first=norm_first)
        return nn.TransformerEncoder(layer, 3, nn.LayerNorm(8), enable_nested_tensor=False)

    theirs, ours = build(torch.nn), build(platform)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(5, 2, 8)

    assert_same(ours(tensor(x.numpy())), theirs(x), rtol=1e-4, atol=1e-5)


def test_a_stack_of_decoder_layers_is_torchs():
    def build(nn):
        return nn.TransformerDecoder(nn.TransformerDecoderLayer(8, 2, 16, dropout=0.0), 2)

    theirs, ours = build(torch.nn), build(platform)
    ours.load_state_dict(theirs.state_dict())
    x, memory = torch.randn(5, 2, 8), torch.randn(4, 2, 8)
    mask = torch.nn.Transformer.generate_square_subsequent_mask(5)

    got = ours(
        tensor(x.numpy()),
        tensor(memory.numpy()),
        tgt_mask=platform.Transformer.generate_square_subsequent_mask(5),
    )
    assert_same(got, theirs(x, memory, tgt_mask=mask), rtol=1e-4, atol=1e-5)


def test_an_embedding_from_a_table_holds_it_frozen():
    table = tensor([[1.0, 2.0], [3.0, 4.0]])

    layer = platform.Embedding.from_pretrained(table)

    assert (layer.weight.requires_grad, layer(tensor([1])).tolist()) == (False, [[3.0, 4.0]])


def test_a_replaced_weight_is_used():
    layer = platform.Linear(2, 1, bias=False)
    del layer.weight
    layer.weight = tensor([[1.0, 2.0]])

    assert layer(tensor([[3.0, 4.0]])).tolist() == [[11.0]]


def test_resetting_draws_anew():
    layer = platform.Linear(3, 3)
    before = layer.weight.numpy().copy()

    layer.reset_parameters()

    assert (before != layer.weight.numpy()).all()


@pytest.mark.parametrize("dtype", ["float16", "float64", "bfloat16"])
def test_a_layer_is_made_in_another_type(dtype):
    layer = platform.Conv2d(2, 3, 3, dtype=getattr(platform, dtype))

    assert {str(t.dtype) for t in layer.state_dict().values()} == {f"mcore.{dtype}"}
