"""`python -m services.retraining.reproduction`: the process behind `homeostat reproduce`.

It reads a request, one JSON object, on standard input, and writes JSON objects on standard output, one per line: `progress` while
it works, and last `result` or `error`. Logs go to standard error. It writes to no store of the installation.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson

from services.retraining.isolated_models import IsolatedModels
from services.retraining.launchers.hidden_folders import folders_with_rows
from services.retraining.launchers.local_launcher import LocalLauncher
from services.retraining.launchers.project_folder import check_project_folder, trusted_roots
from services.retraining.launchers.training_ceiling import training_ceiling
from services.retraining.launchers.training_user import find_training_user
from services.retraining.ledger.engine import open_engine
from services.retraining.ledger.ledger import Ledger
from services.retraining.ledger.password import with_password
from services.retraining.reproduction.made_again import MadeAgain, find_version, make_again
from services.retraining.reproduction.request import ReproductionRequest
from services.retraining.reproduction.trained_again import train_again
from services.retraining.settings import RetrainingSettings
from shared.errors import HomeostatError, NotFound
from shared.files import keep_files_private
from shared.models.signed_versions.installation_keys import Keys
from shared.observability.logs import configure_logs, get_logger, log_unknown_error
from shared.settings import HomeostatSettings
from shared.stores.lake import Lake
from shared.stores.model_store import open_model_store

_log = get_logger(__name__)


def main() -> int:
    """Answer the request on standard input. Exit code 1 after an error."""
    keep_files_private()
    settings = HomeostatSettings()
    configure_logs("reproduction", settings)
    try:
        request = ReproductionRequest.model_validate_json(sys.stdin.buffer.read())
        with TemporaryDirectory(prefix="homeostat-reproduce-") as folder:
            _write({"result": answer(request, settings, RetrainingSettings(), Path(folder))})
    except HomeostatError as error:
        _write({"error": {"kind": type(error).__name__, "message": error.message, "hint": error.hint}})
        return 1
    except Exception as error:
        error_id = log_unknown_error(_log, error)
        _write({"error": {"kind": "", "message": "unknown error", "hint": f"error_id {error_id} in the log"}})
        return 1
    return 0


def answer(
    request: ReproductionRequest, shared: HomeostatSettings, settings: RetrainingSettings, folder: Path
) -> dict[str, Any]:
    """The result: digests, and with `train` what training again gives."""
    home = shared.home.absolute()
    keys = Keys(home / "keys")
    store = open_model_store(shared.model_store_url, keys)
    ledger = Ledger(
        open_engine(
            with_password(settings.ledger, settings.password_file) or f"sqlite:///{home / 'ledger.sqlite'}"
        )
    )
    try:
        manifest = find_version(store, request.version)
        _write({"progress": {"step": f"reading the rows of {manifest.model}"}})
        made = make_again(Lake(shared.lake_url), ledger, manifest, folder / "rows")
        result = made.to_json()
        if request.into is not None:
            request.into.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(made.train, request.into / "train.parquet")
        if request.train:
            _write({"progress": {"step": f"training {manifest.model} again"}})
            user = find_training_user(settings.training_user)
            if user is not None:
                # A temporary folder is its owner's alone. The launcher opens what is below `training` only.
                folder.chmod(0o711)
            launcher = LocalLauncher(
                niceness=settings.niceness,
                ceiling=training_ceiling(settings),
                user=user,
                hidden=(*folders_with_rows(shared), folder),  # the holdout was made again there
            )
            models = IsolatedModels(
                seconds=settings.model_seconds,
                memory_bytes=settings.model_memory_bytes,
                is_stopped=lambda: False,
            )
            trained = train_again(
                made,
                store=store,
                keys=keys,
                launcher=launcher,
                open_model=models.open,
                directory=check_project_folder(
                    _directory(ledger, made), trusted_roots(settings.project_roots)
                ),
                folder=folder / "training",
            )
            result["trained"] = trained.to_json()
        return result
    finally:
        ledger.close()


def _directory(ledger: Ledger, made: MadeAgain) -> Path:
    project = ledger.project(made.manifest.model)
    directory = made.run.directory if made.run is not None else (project.directory if project else "")
    if not directory:
        raise NotFound(
            f"no project folder is recorded for {made.manifest.model}", hint="deploy it again from its folder"
        )
    return Path(directory)


def _write(document: dict[str, Any]) -> None:
    sys.stdout.buffer.write(orjson.dumps(document) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    raise SystemExit(main())
