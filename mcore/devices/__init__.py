"""Devices that run artifacts, as plug-ins, and the check of an artifact on one."""

from mcore.devices.base import Device, UnsupportedOperator
from mcore.devices.checking import check
from mcore.devices.finding import UnknownDevice, devices, find

__all__ = ["Device", "UnknownDevice", "UnsupportedOperator", "check", "devices", "find"]
