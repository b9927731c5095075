"""`python -m deploy.containers.slim SITE_PACKAGES`: takes out of an image's packages what no service loads.

1. Delete files that are there for compiling against a package, for testing it, or for protocols that nothing here speaks.
2. Cut debug information and symbol tables off shared libraries: what follows the last segment that is loaded.

The Dockerfile runs it in the step that installs the packages, so that no layer has what is deleted. It prints what it saved.
"""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

# Patterns below site-packages. `tests` of other packages stay: Evidently's, for example, is a part of its API.
UNUSED = (
    *(f"{package}/**/tests" for package in ("numpy", "pandas", "pyarrow", "scipy", "sklearn", "statsmodels")),
    *("pyarrow/include", "pyarrow/src", "pyarrow/**/*.pyx", "numpy/**/*.pyi"),
    "pyarrow/_pyarrow_cpp_tests.*",
    # Arrow Flight is a protocol between databases.
    *("pyarrow/_flight.*", "pyarrow/libarrow_flight.*", "pyarrow/libarrow_python_flight.*"),
    # The same library three times; what is linked with it names the version in the middle.
    *(f"pyarrow/libarrow_python{name}.so" for name in ("", "_parquet_encryption")),
    *(f"pyarrow/libarrow_python{name}.so.*.*" for name in ("", "_parquet_encryption")),
    # For Python implementations without C extensions.
    "zstandard/_cffi.*",
)
# Packages whose libraries are cut. CUDA's are not: nothing here can show that they still work.
CUT = (
    *("arro3", "deltalake", "isal", "lz4", "ml_dtypes", "numpy", "obstore", "onnx", "onnxruntime"),
    *("pyarrow", "pydantic_core", "simdjson", "zstandard"),
)
_ELF64 = b"\x7fELF\x02\x01"
_PROGRAM_HEADER = struct.Struct("<IIQQQQQQ")


def cut(path: Path) -> int:
    """Cut a 64-bit ELF library after its last segment, and its list of sections, which only debuggers read. Returns bytes saved.

    The file is replaced, not changed: it may be a hard link into a package cache.
    """
    content = bytearray(path.read_bytes())
    if content[:6] != _ELF64:
        return 0
    [headers_at] = struct.unpack_from("<Q", content, 32)
    size, count = struct.unpack_from("<HH", content, 54)
    headers = [_PROGRAM_HEADER.unpack_from(content, headers_at + place * size) for place in range(count)]
    ends = max(headers_at + count * size, *(header[2] + header[5] for header in headers))
    if ends >= len(content):
        return 0
    struct.pack_into("<Q", content, 40, 0)  # where the section headers are
    struct.pack_into("<HHH", content, 58, 0, 0, 0)  # their size and number, and the one with their names
    new = path.with_name(f"{path.name}.new")
    new.write_bytes(content[:ends])
    new.chmod(path.stat().st_mode & 0o777)
    new.replace(path)
    saved: int = len(content) - ends
    return saved


def delete(path: Path) -> int:
    """Delete a file, or a folder with all that is in it. Returns bytes saved."""
    if path.is_dir() and not path.is_symlink():
        saved = sum(delete(child) for child in path.iterdir())
        path.rmdir()
        return saved
    size: int = path.lstat().st_size
    path.unlink()
    return size


def slim(packages: Path) -> Iterator[tuple[str, int]]:
    """Delete and cut below a site-packages folder. Yields each pattern or package with the bytes that it saved."""
    for pattern in UNUSED:
        found = sorted(packages.glob(pattern))
        # A folder of tests may lie in another.
        yield pattern, sum(delete(path) for path in found if os.path.lexists(path))
    for package in CUT:
        libraries = sorted(
            path for folder in (package, f"{package}.libs") for path in packages.glob(f"{folder}/**/*.so*")
        )
        yield package, sum(cut(path) for path in libraries if not path.is_symlink())


def main() -> int:
    """Slim the folder given, and print what was saved."""
    saved = dict(slim(Path(sys.argv[1])))
    for name, size in saved.items():
        if size:
            print(f"slim: {name} {size / 1e6:.1f} MB")
    print(f"slim: {sum(saved.values()) / 1e6:.0f} MB in all")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
