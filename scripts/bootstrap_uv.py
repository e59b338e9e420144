"""Puts the pinned uv into a directory of this work tree, with nothing but a bare Python at hand.

Three ways are tried, since Debian and Ubuntu package `venv` and `pip` apart from Python itself:

1. a virtual environment with pip in it;
2. the machine's own pip, into the directory alone;
3. the wheel itself, fetched and unpacked by the standard library.

Each way accepts only a wheel whose digest stands in `uv.txt`. The result is `DIRECTORY/bin/uv`.
"""

import hashlib
import io
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path

PINS = Path(__file__).with_name("uv.txt")
INDEX_URL = "https://pypi.org/simple/uv/"
INDEX_TYPE = "application/vnd.pypi.simple.v1+json"
FETCH_TIMEOUT_S = 60


def install_in_venv(directory: Path) -> None:
    """Make `directory` a virtual environment and install uv by the pip inside it."""
    _run(sys.executable, "-m", "venv", str(directory))
    _run(str(directory / "bin" / "python"), "-m", "pip", *_pip_arguments())


def install_by_pip(directory: Path) -> None:
    """Install uv into `directory` by the machine's own pip, which touches nothing outside of it."""
    _run(sys.executable, "-m", "pip", *_pip_arguments(), "--target", str(directory))


def install_wheel(directory: Path) -> None:
    """Fetch the wheel of this platform, check its digest and unpack the one program that it holds."""
    text = PINS.read_text(encoding="utf-8")
    version = re.findall(r"^uv==(\S+)", text, re.MULTILINE)[0]
    digests = set(re.findall(r"sha256:([0-9a-f]{64})", text))
    files = json.loads(_fetch(INDEX_URL))["files"]
    wanted = [f for f in files if f["hashes"].get("sha256") in digests and _fits(f["filename"])]
    if not wanted:
        raise RuntimeError(f"uv.txt pins no wheel of uv {version} for {platform.machine()}")
    wheel = _fetch(wanted[0]["url"])
    digest = hashlib.sha256(wheel).hexdigest()
    if digest not in digests:
        raise RuntimeError(f"{wanted[0]['filename']} has the digest {digest}, which uv.txt does not name")
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        program = archive.read(f"uv-{version}.data/scripts/uv")
    (directory / "bin").mkdir(parents=True)
    (directory / "bin" / "uv").write_bytes(program)
    (directory / "bin" / "uv").chmod(0o755)


def _pip_arguments() -> list[str]:
    return ["install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:",
            "--require-hashes", "--requirement", str(PINS)]  # fmt: skip


def _fits(filename: str) -> bool:
    """Whether a wheel is for this machine: its processor, and its C library on Linux."""
    machine = platform.machine()
    if sys.platform == "darwin":
        return "macosx" in filename and machine in filename
    libc = "manylinux2014" if "glibc" in platform.libc_ver()[0] else "musllinux_1_1"
    return f"{libc}_{machine}" in filename


def _fetch(url: str) -> bytes:
    request = urllib.request.Request(url, headers={"Accept": f"{INDEX_TYPE}, */*;q=0.1"})  # noqa: S310 - https, see INDEX_URL
    with urllib.request.urlopen(request, timeout=FETCH_TIMEOUT_S) as answer:  # noqa: S310
        body: bytes = answer.read()
    return body


def _run(*command: str) -> None:
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if result.returncode != 0:
        raise RuntimeError(f"`{' '.join(command[1:4])}` said: {result.stdout.strip() or result.returncode}")


def main(directory: Path) -> int:
    """Try each way in turn; the exit status is 0 once `directory/bin/uv` runs."""
    ways: list[Callable[[Path], None]] = [install_in_venv, install_by_pip, install_wheel]
    reasons = []
    for way in ways:
        shutil.rmtree(directory, ignore_errors=True)
        try:
            way(directory)
            _run(str(directory / "bin" / "uv"), "--version")
        except (RuntimeError, OSError) as error:
            reasons.append(f"  {way.__name__}: {error}")
            continue
        return 0
    print(
        "uv could not be installed. Check that PyPI is reachable from here, then run again.", file=sys.stderr
    )
    print(os.linesep.join(reasons), file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
