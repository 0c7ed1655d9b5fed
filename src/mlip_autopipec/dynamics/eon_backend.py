"""A build backend (PEP 517) that packs eOn's server, which is pure Python, and compiles nothing.

pip runs it inside the unpacked source distribution, in eOn's own Python; nothing of this package is imported.
"""

import base64
import hashlib
import zipfile
from pathlib import Path
from typing import Any

_NAME = "eon_akmc"


def build_wheel(wheel_directory: str, _settings: Any = None, _metadata: Any = None) -> str:
    """Pack ``eon/`` into a wheel; see PEP 517."""
    source = Path.cwd()
    (line,) = [x for x in (source / "PKG-INFO").read_text().splitlines() if x.startswith("Version: ")]
    version = line.removeprefix("Version: ").strip()
    info = f"{_NAME}-{version}.dist-info"
    files = {
        str(path.relative_to(source)): path.read_bytes()
        for path in sorted((source / "eon").rglob("*"))
        if path.suffix in {".py", ".yaml"} and "tests" not in path.parts
    }
    files[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: eon-akmc\nVersion: {version}\n".encode()
    files[f"{info}/WHEEL"] = b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files[f"{info}/LICENSE"] = (source / "LICENSE").read_bytes()
    record = [f"{name},sha256={_digest(content)},{len(content)}" for name, content in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,", ""]).encode()
    name = f"{_NAME}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(Path(wheel_directory) / name, "w", zipfile.ZIP_DEFLATED) as wheel:
        for path, content in files.items():
            wheel.writestr(path, content)
    return name


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
