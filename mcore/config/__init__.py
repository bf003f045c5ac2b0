"""Reading, extending and overriding configuration: plain data, with the place of every mistake."""

from mcore.config.document import FORMAT, Config, merge, read
from mcore.config.origins import ConfigError, Mistake, Origin, dotted
from mcore.config.yaml import parse, scalar

__all__ = [
    "FORMAT",
    "Config",
    "ConfigError",
    "Mistake",
    "Origin",
    "dotted",
    "merge",
    "parse",
    "read",
    "scalar",
]
