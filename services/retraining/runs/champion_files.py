"""Fetches the champion of a run from the store."""

from __future__ import annotations

import shutil

from services.retraining.ledger.records import Run
from services.retraining.runs.workspace import RunFolder
from shared.contracts.manifest import MANIFEST
from shared.contracts.version_files.names import MODEL_FILES
from shared.models.signed_versions.installation_keys import Keys
from shared.models.signed_versions.verification import verify_version
from shared.stores.model_store import ModelStore


def fetch_champion(store: ModelStore, keys: Keys, run: Run, folder: RunFolder) -> None:
    """Fetch the run's champion, if it has one. Raises IntegrityError, NotFound.

    1. the complete version, verified, for evaluation   2. its model and manifest for the training command
    """
    if not run.champion:
        return
    if not folder.champion.is_dir():
        draft = folder.evaluation / ".champion"
        shutil.rmtree(draft, ignore_errors=True)
        store.get_version(run.model, run.champion, draft)
        verify_version(draft, version=run.champion, verifying_key=keys.verifying)
        draft.rename(folder.champion)
    shutil.rmtree(folder.champion_for_training, ignore_errors=True)
    folder.champion_for_training.mkdir()
    for name in (*(name for name in MODEL_FILES if (folder.champion / name).is_file()), MANIFEST):
        shutil.copyfile(folder.champion / name, folder.champion_for_training / name)
