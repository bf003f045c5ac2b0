"""Stores of each kind, for tests that hold for all."""

import pytest

from mcore.checkpoint.store.opening import open_store
from tests.checkpoint.places import bucket_at


@pytest.fixture(scope="session")
def s3():
    """The address of a stand-in for S3."""
    pytest.importorskip("obstore", reason="object stores need the extra s3")
    server_of = pytest.importorskip("moto.server", reason="the stand-in for S3 is moto's server").ThreadedMotoServer
    server = server_of("127.0.0.1", 0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture(params=["folder", "memory", "s3"])
def store(request, tmp_path):
    """An empty store, of each kind."""
    if request.param == "folder":
        return open_store(tmp_path / "repository")
    if request.param == "memory":
        pytest.importorskip("obstore", reason="object stores need the extra s3")
        return open_store("memory://")
    return bucket_at(request.getfixturevalue("s3"))
