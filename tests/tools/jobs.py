"""Jobs for a crew, which finds them by their module."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path


def double(number):
    return 2 * number


def refuse(text):
    raise ValueError(text)


def end(code):
    os._exit(code)


def die(number, words=""):
    print(words, file=sys.stderr, flush=True)
    os.kill(os.getpid(), number)
    time.sleep(60)


def hang(path=""):
    """Never done, and deaf to polite requests; writes its process's number, and that of one it started."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    if path:
        Path(path).write_text(f"{os.getpid()} {child.pid}")
    time.sleep(600)


def seen(path):
    """Ends when another job has written `path`."""
    while not Path(path).exists() or len(Path(path).read_text().split()) < 2:
        time.sleep(0.02)


def who():
    return os.getpid()


def variable(name):
    return os.environ.get(name)


def loaded(name):
    return name in sys.modules


def interval(seconds):
    """When it began and ended."""
    begun = time.time()
    time.sleep(seconds)
    return begun, time.time()


def unsendable():
    return lambda: None
