"""`_native.pyi` is written by hand; here mypy's stubtest compares it with the module that it describes.

In go the stub and the built module, both real.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_stub_says_what_the_native_module_holds() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "mypy.stubtest", "sequencer._native", "--mypy-config-file", "pyproject.toml"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout
