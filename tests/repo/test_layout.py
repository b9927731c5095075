"""Rules of the house that no linter knows: where heavy libraries may live, what is never loaded, how modules are named."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from docs.reference.sources import module_name, parse, sources
from tests.repo.tracked import ROOT, tracked
from tests.waiting import bound

# A heavy library, and the places that may import it. A folder stands for everything below it.
HOMES = {
    "bentoml": ("services/inference/service.py", "services/inference/bento/control_sockets.py", "loadtests"),
    "_bentoml_sdk": ("services/inference/bentoml_adapter.py", "services/inference/bento"),
    "_bentoml_impl": ("services/inference/bento",),
    "torch": (
        "services/inference/runtimes",
        "shared/models/torch_archive",
        "homeostat/model_export/libraries/torch_model.py",
        "homeostat/model_export/torch_programs",
        "loadtests/gpu",
        "examples",
        "cli/templates/trainings/torch.py",
    ),
    "onnxruntime": (
        "services/inference/runtimes",
        "shared/models/runners/onnx_engine.py",
        "cli/checks/machine.py",
        "homeostat/model_export",
        "loadtests",
        "examples",
    ),
    "evidently": (
        "services/drift/evaluation/evidently_adapter.py",
        "services/drift/workspace/evidently_workspace.py",
        "shared/data_checks/evidently_summary.py",
        "loadtests/drift/cost.py",
    ),
    "fastapi": ("services/drift", "services/retraining", "services/console", "shared/http", "loadtests"),
    "jinja2": (
        "shared/http/pages.py",
        "services/console/views",
        "services/inference/status",
        "services/retraining/http/gate_page.py",
    ),
    "kafka": ("shared/messaging", "local_stack", "cli"),
    "obstore": ("shared/stores",),
    "mlflow": ("services/retraining", "homeostat/model_export/libraries/mlflow_model.py"),
    "duckdb": ("shared/stores", "cli"),
    "matplotlib": ("cli", "examples"),
}
# Names that hide what a module is about.
DRAWERS = {"utils", "util", "helpers", "helper", "common", "misc", "base", "lib", "manager", "internal"}
# The owner of a model may read their own pickle, in a process of their own: no service imports this module.
PICKLE_READER = "homeostat/model_export/model_file.py"
# So is the module that reads the owner's program of torch, which may hold pickles too.
PROGRAM_READER = "homeostat/model_export/libraries/torch_model.py"
PICKLERS = {"pickle", "cPickle", "_pickle", "joblib", "dill", "cloudpickle", "marshal", "shelve"}
# Entry points do something when they are run, and a training command is one.
ENTRY_POINTS = {"__main__.py", "train.py", "make_data.py"}


def python_files() -> list[Path]:
    return [path for path in tracked() if path.suffix == ".py"]


@cache
def imports_and_calls(path: Path) -> tuple[frozenset[str], tuple[ast.Call, ...]]:
    """Both from one walk: it takes longer than what the tests do with what it finds."""
    found: set[str] = set()
    calls: list[ast.Call] = []
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Call):
            calls.append(node)
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.add(node.module)
    return frozenset(found), tuple(calls)


def imports(path: Path) -> frozenset[str]:
    return imports_and_calls(path)[0]


def calls(path: Path) -> tuple[ast.Call, ...]:
    return imports_and_calls(path)[1]


def is_below(path: Path, homes: tuple[str, ...]) -> bool:
    place = path.relative_to(ROOT).as_posix()
    return any(place == home or place.startswith(f"{home}/") for home in homes)


@pytest.mark.parametrize("library", sorted(HOMES))
def test_a_heavy_library_lives_in_its_home(library: str) -> None:
    outside = [
        str(path.relative_to(ROOT))
        for path in python_files()
        if not is_below(path, (*HOMES[library], "tests", "docs"))
        and any(name == library or name.startswith(f"{library}.") for name in imports(path))
    ]
    assert outside == [], f"{library} may be imported in {', '.join(HOMES[library])} only"


def test_nothing_that_runs_code_when_it_is_read_is_ever_loaded() -> None:
    """A pickle is a program: a version that could hold one could do anything before its signature was looked at."""
    found = []
    for path in python_files():
        if is_below(path, ("tests", PICKLE_READER)):
            continue
        found += [
            f"{path.relative_to(ROOT)}: imports {name}"
            for name in imports(path)
            if name.split(".")[0] in PICKLERS
        ]
        for node in calls(path):
            called = ast.unparse(node.func)
            if called in ("torch.load", "yaml.unsafe_load", "yaml.full_load", "eval", "exec"):
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}: calls {called}")
            if called == "torch.export.load" and not is_below(path, (PROGRAM_READER,)):
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}: calls {called}")
            allowing = [word for word in node.keywords if word.arg == "allow_pickle"]
            if allowing and not (
                isinstance(allowing[0].value, ast.Constant) and allowing[0].value.value is False
            ):
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}: allows pickles")
    assert found == []


def test_retraining_loads_no_model_in_its_own_process() -> None:
    """A model that needs too much memory, or crashes, would end the service again and again: isolated_models.py opens them."""
    loaders = {
        "shared.models.runners.loading",
        "shared.models.onnx_runner",
        "shared.models.runners.onnx_engine",
        "shared.models.torch_archive.torch_model",
    }
    loading = [
        str(path.relative_to(ROOT)) for path in sources("services/retraining") if loaders & imports(path)
    ]
    assert loading == []


def test_nothing_that_serves_imports_the_reader_of_pickles() -> None:
    """`homeostat replay` uses the client, which reads no pickles."""
    importing = {
        (path.relative_to(ROOT).parts[0], ".".join(name.split(".")[:2]))
        for path in sources("shared", "services", "local_stack", "cli")
        for name in imports(path)
        if name.split(".")[0] == "homeostat"
    }
    assert importing <= {("cli", "homeostat.client")}


def test_a_module_is_named_after_what_it_holds() -> None:
    drawers = [str(path) for path in python_files() if path.stem in DRAWERS or path.parent.name in DRAWERS]
    assert drawers == []


def test_every_module_has_a_docstring() -> None:
    assert [str(path) for path in sources() if not ast.get_docstring(parse(path))] == []


def test_every_module_that_defines_something_has_annotations_of_today() -> None:
    late = []
    for path in sources():
        tree = parse(path)
        defines = any(isinstance(node, ast.FunctionDef | ast.ClassDef) for node in tree.body)
        if defines and "__future__" not in imports(path):
            late.append(str(path.relative_to(ROOT)))
    assert late == []


def test_nothing_is_left_for_later() -> None:
    # In pieces, so that this file is not found itself.
    pieces = (("TO", "DO"), ("FIX", "ME"), ("XX", "X:"), ("pragma: no", " cover"), ("pytest.mark.x", "fail"))
    words = ["".join(both) for both in pieces]
    left = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in tracked()
        if path.suffix in {".py", ".md", ".yaml", ".toml", ".sh"}
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if any(word in line for word in words)
    ]
    assert left == []


def importable() -> list[str]:
    return [
        module_name(path)
        for path in sources("shared", "services", "cli", "homeostat")
        if path.name not in ENTRY_POINTS
    ]


IMPORT_ALL = """
import importlib, socket, sys, threading

class Refused(socket.socket):
    def connect(self, address):
        raise SystemExit(f"connects on import: {address}")

    def bind(self, address):
        if address[1] != 0:  # libraries ask for any port to learn whether there is IPv6
            raise SystemExit(f"binds on import: {address}")
        super().bind(address)

socket.socket = Refused
for name in sys.argv[1:]:
    importlib.import_module(name)
    for thread in threading.enumerate():
        target = getattr(thread, "_target", None)
        if str(getattr(target, "__module__", "")).split(".")[0] in ("shared", "services", "cli", "homeostat"):
            raise SystemExit(f"{name} starts the thread {thread.name}")
"""


def test_nothing_happens_on_import(tmp_path: Path) -> None:
    """Importing everything, in a folder of its own, writes no file, starts no thread, connects nowhere and says nothing.

    The entry point of inference is left out: BentoML wants its service made when the module is read.
    """
    outside = ("services.inference.service", "services.retraining.ledger.migrations", "cli.templates")
    names = [name for name in importable() if not name.startswith(outside)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HOMEOSTAT_")}
    elsewhere = str(tmp_path / "home")
    environment |= {
        "PYTHONPATH": str(ROOT),
        "HOME": elsewhere,
        "MPLCONFIGDIR": elsewhere,
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    work = tmp_path / "work"
    work.mkdir()
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", IMPORT_ALL, *names],
        cwd=work,
        env=environment,
        capture_output=True,
        text=True,
        timeout=bound(120),
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout == ""
    assert list(work.iterdir()) == []


def test_one_writer_for_each_store() -> None:
    """Releaser alone appends to the release log, the prediction log alone writes the lake."""
    writers = {
        "add_release": ("services/retraining/rollout/releaser.py",),
        "write_deltalake": ("services/prediction_log", "shared/stores"),
        "create_write_transaction": ("services/prediction_log", "shared/stores"),
    }
    trespassers = []
    for path in sources():
        for node in calls(path):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in writers and not is_below(path, writers[called]):
                trespassers.append(f"{path.relative_to(ROOT)}:{node.lineno} calls {called}")
    assert trespassers == []


def test_every_reader_of_outcomes_leaves_out_the_excluded_senders() -> None:
    """One that forgets them would train on, or judge by, what a poisoned sender has sent."""
    forgetting, readers = [], 0
    for path in sources():
        for node in calls(path):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if name in ("read_joined", "count_observed"):
                readers += 1
                if "excluded_senders" not in {keyword.arg for keyword in node.keywords}:
                    forgetting.append(f"{path}:{node.lineno}")
    assert forgetting == []
    assert readers >= 7
