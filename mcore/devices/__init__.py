"""Devices that run artifacts, as plug-ins, and the check of an artifact on one."""

from mcore.devices.base import Device, UnsupportedOperator
from mcore.devices.checking import check
from mcore.devices.finding import Asked, UnknownDevice, ask, devices, find

__all__ = ["Asked", "Device", "UnknownDevice", "UnsupportedOperator", "ask", "check", "devices", "find"]
