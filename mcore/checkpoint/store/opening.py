"""A store by its address."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from mcore.checkpoint.extras import needed
from mcore.checkpoint.store.base import Store


def open_store(url: str | os.PathLike[str], *, create: bool = True, **options: Any) -> Store:
    """The store at a path or "file://...", at "s3://bucket/folder" (extra `s3`), or at "memory://name".

    Args:
        url: where it lies.
        create: makes a folder where there is none.
        options: of an object store, see `Bucket`.

    Raises:
        NotFound: nothing is there, and `create` is false.
        ValueError: another kind of address, or options where none fit.
        ImportError: the extra isn't installed.
        StorageError: it can't be made.
    """
    address = os.fspath(url)
    scheme = address.partition("://")[0].lower() if "://" in address else ""
    if scheme in ("s3", "memory"):
        # A folder doesn't need it.
        needed("obstore", "s3", what="a repository in an object store")
        from mcore.checkpoint.store.bucket import Bucket

        return Bucket(address, create=create, **options)
    if scheme not in ("", "file"):
        raise ValueError(f"{address}: {scheme}:// isn't known; a path, file://, s3:// and memory:// are.")
    if options:
        raise ValueError(f"{address}: a folder takes no {', '.join(sorted(options))}; object stores do.")
    from mcore.checkpoint.store.folder import Folder

    folder = Folder(_path_of(address) if scheme else address, create=create)
    folder.url = address
    return folder


def _path_of(address: str) -> str:
    parts = urlsplit(address)
    if parts.netloc not in ("", "localhost"):
        raise ValueError(f"{address}: {parts.netloc!r} would be another machine; a path has three strokes: file:///...")
    return url2pathname(parts.path)


__all__ = ["open_store"]
