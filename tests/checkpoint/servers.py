"""A PostgreSQL server that the tests start themselves, from Debian's package."""

import contextlib
import glob
import os
import pwd
import shutil
import subprocess
import tempfile

# Where Debian has the server's programs, by version.
PROGRAMS = "/usr/lib/postgresql/*/bin"


def why_not():
    """Why no server can be started here; "" where one can."""
    if not glob.glob(f"{PROGRAMS}/initdb"):
        return f"no PostgreSQL server here ({PROGRAMS}): apt-get install -y postgresql"
    if os.getuid() == 0 and _user() is None:
        return "PostgreSQL doesn't run as root, and there is no user postgres or nobody"
    return ""


@contextlib.contextmanager
def postgresql():
    """The address of a server of its own, on a socket in a temporary folder; it goes when the block ends."""
    programs = sorted(glob.glob(f"{PROGRAMS}"))[-1]
    # Short: names of sockets have at most some hundred letters.
    folder = tempfile.mkdtemp(prefix="pg", dir="/tmp")
    user = {"user": _user()} if os.getuid() == 0 else {}
    if user:
        shutil.chown(folder, _user())
    data = f"{folder}/data"

    def run(program, *arguments):
        subprocess.run(
            [f"{programs}/{program}", *arguments],
            check=True, cwd=folder, timeout=120, capture_output=program != "pg_ctl", env={"LC_ALL": "C.UTF-8"}, **user,
            **({"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL} if program == "pg_ctl" else {}),
        )  # fmt: skip

    try:
        run("initdb", "-D", data, "-U", "tests", "-A", "trust", "-E", "UTF8", "--no-sync")
        options = f"-k {folder} -c listen_addresses='' -c fsync=off"
        run("pg_ctl", "-D", data, "-o", options, "-l", f"{folder}/log", "-w", "start")
        try:
            yield f"postgresql+psycopg://tests@/postgres?host={folder}"
        finally:
            run("pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _user():
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    return None
