"""The words, one file a family. `mcore.platform.namespaces` imports them all; each enters itself into the table."""
