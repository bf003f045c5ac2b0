"""Tests of mcore.devices."""
