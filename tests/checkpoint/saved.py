"""Checkpoints without a repository: a record of a network, and what gives its arrays anew each time."""

import numpy as np

from mcore.checkpoint import records
from mcore.checkpoint.parts.facts import described
from mcore.checkpoint.records import Record

ID = "01JDRWZ3K0000000000000000A"
NOWHERE = {"sha256": 64 * "0", "size": 0}


def saved(net, *, task="any", **given):
    """The record of a network, and a function that gives copies of the arrays of its components."""
    told = described(net, given)
    data = {
        "id": ID,
        "kind": told.kind,
        "network": told.network,
        "task": "" if told.kind == "backbone" else told.task or task,
        "version": 1,
        "structure": told.structure,
        "code": told.code,
        "components": [one.model_copy(update={"blob": records.Blob(**NOWHERE)}) for one, _ in told.components],
        "created": "2026-11-28T17:00:00Z",
        "training": told.training,
        "has_nan": told.has_nan,
        "shared": told.shared,
    }
    kept = {one.name: {key: np.array(array) for key, array in arrays.items()} for one, arrays in told.components}
    # Read as a repository would, so that what JSON changes is changed here too.
    record = records.read(records.written(records.checked(data, Record, "saved")), Record, "saved")
    return record, lambda component: {key: array.copy() for key, array in kept[component.name].items()}


def arrays_of(net):
    """Copies of all entries of a network."""
    from mcore.exchange import bridge

    return {name: np.array(bridge.array_of(value)) for name, value in net.state_dict().items()}


def assert_same(found, wanted):
    """Raises where two states differ in a name, their order, a type or a bit."""
    assert list(found) == list(wanted)
    for name, array in found.items():
        assert array.dtype == wanted[name].dtype, name
        np.testing.assert_array_equal(
            np.ascontiguousarray(array).reshape(-1).view(np.uint8),
            np.ascontiguousarray(wanted[name]).reshape(-1).view(np.uint8),
            err_msg=name,
        )
