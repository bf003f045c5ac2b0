"""Tests of mcore.exchange."""
