"""What an engine costs before it does anything: import time, memory, and what had to be installed."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

# Packages beside the standard library that were loaded, and the room of their folders on the disk.
_MEASURE = """
import json, sys, time
start = time.perf_counter()
import mcore, models
from models import assembly
from models.backbones import resnet18
mcore.zeros(1) + 1  # engines load the rest of themselves with the first word
seconds = time.perf_counter() - start
import resource, sysconfig
from pathlib import Path
status = Path("/proc/self/status")
if status.exists():
    memory = int(status.read_text().partition("VmRSS:")[2].split()[0]) / 1024
else:
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
folder = Path(sysconfig.get_paths()["purelib"])
names = sorted({name.partition(".")[0] for name in sys.modules})
packages = [folder / part for name in names for part in (name, f"{name}.libs") if (folder / part).is_dir()]
room = sum(file.stat().st_size for package in packages for file in package.rglob("*") if file.is_file())
print(json.dumps({"seconds": seconds, "room": room / 1e6, "memory": memory}))
"""


class Cost(NamedTuple):
    """Seconds to import, megabytes on the disk, megabytes of memory."""

    seconds: float
    room: float
    memory: float


def cost(engine: str, *, rounds: int = 3) -> Cost:
    """What importing mcore and the zoo costs in a fresh interpreter: the fastest of several."""
    environment = os.environ | {"MCORE_BACKEND": engine, "PYTHONPATH": str(Path(__file__).parents[2])}
    found = []
    for _ in range(rounds):
        command = [sys.executable, "-c", _MEASURE]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        found.append(Cost(**json.loads(done.stdout)))
    return min(found)
