"""Between the engines: export to the platform, import from it, files of weights, verification."""

from mcore.exchange.code_hash import code_hash as code_hash
