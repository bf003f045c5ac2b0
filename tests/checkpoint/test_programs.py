"""Programs of torch: TorchScript and torch.export, on the torch engine and only for trusted files."""

import numpy as np
import pytest

import mcore

if mcore.backend() != "torch":
    pytest.skip("programs of torch run on the torch engine alone", allow_module_level=True)

import torch

from mcore.checkpoint import load_model
from mcore.exchange.errors import ModelFileError
from mcore.volumes import load_and_run_model
from tests.checkpoint.tiny import Tiny

X = torch.arange(20.0).reshape(1, 1, 4, 5)


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("programs")
    net = Tiny().eval()
    torch.jit.trace(net, X).save(str(folder / "net.jit"))
    with open(folder / "net.ts", "wb") as file:
        torch.export.save(torch.export.export(net, (X,)), file)
    return folder, net(X).detach().numpy()


@pytest.mark.parametrize("name", ["net.jit", "net.ts"])
def test_a_trusted_program_gives_what_its_network_gave(programs, name):
    folder, expected = programs

    net = load_model(folder / name, trust=True)

    np.testing.assert_allclose(net(X).detach().numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize("name", ["net.jit", "net.ts"])
def test_a_trusted_program_runs_on_arrays(programs, name):
    folder, expected = programs

    np.testing.assert_allclose(load_and_run_model(folder / name, X.numpy(), trust=True), expected, rtol=1e-6)


def test_a_script_saved_in_training_is_evaluated_and_trains_on(tmp_path):
    net = Tiny().train()
    torch.jit.script(net).save(str(tmp_path / "net.jit"))
    script = load_model(tmp_path / "net.jit", use_cache=True, trust=True)

    found = load_and_run_model(tmp_path / "net.jit", X.numpy(), trust=True)

    np.testing.assert_allclose(found, net.eval()(X).detach().numpy(), rtol=1e-6)
    assert [part.training for part in script.modules()] == [True] * 4
    assert not np.allclose(script(X).detach().numpy(), found)


def test_a_cached_program_is_refused_to_whoever_does_not_trust_it(programs):
    load_model(programs[0] / "net.jit", use_cache=True, trust=True)

    with pytest.raises(ModelFileError, match="trust=True"):
        load_model(programs[0] / "net.jit", use_cache=True)


@pytest.mark.parametrize("name", ["net.jit", "net.ts"])
@pytest.mark.parametrize("damage", ["empty", "text", "truncated", "other"])
@pytest.mark.filterwarnings("ignore")
def test_a_damaged_program_is_told(programs, tmp_path, name, damage):
    whole = (programs[0] / name).read_bytes()
    other = (programs[0] / ("net.ts" if name == "net.jit" else "net.jit")).read_bytes()
    content = {"empty": b"", "text": b"hello" * 99, "truncated": whole[:-200], "other": other}[damage]
    (tmp_path / name).write_bytes(content)

    with pytest.raises(ModelFileError, match=rf"{name}: (no program of torch|damaged, or not)"):
        load_model(tmp_path / name, trust=True)


@pytest.mark.parametrize("suffix", [".json", ".onnx"])
def test_a_program_under_a_name_of_data_is_no_data(programs, tmp_path, suffix):
    path = tmp_path / f"net{suffix}"
    path.write_bytes((programs[0] / "net.jit").read_bytes())

    with pytest.raises(ModelFileError, match=rf"net{suffix}"):
        load_model(path, trust=True)
