"""Compiles protos/ into gridcord/api: at build time, and by hand.

Hatchling calls `ProtoBuildHook` for wheels and editable installs alike.
After editing a .proto, run `python build_protos.py`.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from importlib import resources
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ModuleNotFoundError:  # run by hand, where hatchling need not be installed
    BuildHookInterface = object  # type: ignore[assignment,misc]

ROOT = Path(__file__).parent
PROTOS = ROOT / "protos"
PACKAGE = Path("gridcord", "api")


class ProtoBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Compiles the protos before hatchling collects files."""

    def initialize(self, _version: str, _build_data: dict[str, Any]) -> None:
        """Run for wheels, editable or not; an sdist carries the protos instead."""
        if self.target_name == "wheel":
            compile_protos()


def compile_protos() -> None:
    """Replace gridcord/api by what protos/ says now, or leave it if that fails.

    Only files named *_service.proto get gRPC stubs; the others would get empty ones.
    """
    messages = sorted(str(path.relative_to(PROTOS)) for path in PROTOS.rglob("*.proto"))
    services = [name for name in messages if name.endswith("_service.proto")]
    with tempfile.TemporaryDirectory() as scratch:
        generated = Path(scratch) / PACKAGE
        _protoc(["--python_out", "--mypy_out"], scratch, messages)
        _protoc(["--grpc_python_out", "--mypy_grpc_out"], scratch, services)
        for directory in [generated, *(p for p in generated.rglob("*") if p.is_dir())]:
            (directory / "__init__.py").touch()
        shutil.rmtree(ROOT / PACKAGE, ignore_errors=True)
        shutil.copytree(generated, ROOT / PACKAGE)


def _protoc(outputs: list[str], folder: str, sources: list[str]) -> None:
    """Run the protoc that grpcio-tools carries, in this interpreter."""
    from grpc_tools import protoc

    # protoc looks for protoc-gen-mypy on PATH: in pip's build environment it is
    # there; by hand it is beside the Python that runs this.
    os.environ["PATH"] += os.pathsep + str(Path(sys.executable).parent)
    status = protoc.main(
        [
            "protoc",
            f"--proto_path={PROTOS}",
            # `python -m grpc_tools.protoc` adds the next path, `main` does not.
            f"--proto_path={resources.files('grpc_tools') / '_proto'}",
            *(
                f"{output}=quiet:{folder}" if "mypy" in output else f"{output}={folder}"
                for output in outputs
            ),
            *sources,
        ]
    )
    if status:
        sys.exit(f"protoc failed with status {status}")


if __name__ == "__main__":
    compile_protos()
