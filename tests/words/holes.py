"""Samples whose element type the runtime has no kernel for: sessions detour, an exported file cannot."""

from tests.words.contract import Array, Row, Sample

REASON = "a file keeps the type as it is, and the CPU runtime has no kernel for it; sessions detour"


def uses(value: object, dtype: str) -> bool:
    if isinstance(value, tuple | list):
        return any(uses(item, dtype) for item in value)
    return isinstance(value, Array) and value.dtype == dtype


def eager_only(rows: list[Row], *names: str, dtype: str = "bfloat16") -> None:
    """Leaves exported files out for samples of `dtype`, for these words or for all."""
    for row in rows:
        if names and row.names[0] not in names:
            continue
        for sample in row.samples:
            if uses(sample.args, dtype):
                leave_out(sample)


def leave_out(sample: Sample) -> None:
    sample.without("export", REASON).without("recording", REASON)
