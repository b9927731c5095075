"""An installation whose run was promoted, and whose lake has aged since then."""

from __future__ import annotations

import pytest

from services.retraining.ledger.records import Run
from tests.fakes.retraining_installation import MODEL, make_installation, package_poor_champion
from tests.unit.services.retraining.runs.test_pipeline import Setup, open_setup
from tests.unit.shared.stores.as_of.test_marked_lake import age


@pytest.fixture(scope="module")
def promoted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Setup, Run]:
    """The run was promoted; then late rows came, files were compacted, and old ones deleted."""
    template = make_installation(tmp_path_factory.mktemp("installation"))
    version = package_poor_champion(
        template.project.parent, template.spec, template.store, template.keys, slope=2.0
    )
    model = template.store.get_file(MODEL, version, "model.onnx")
    setup = open_setup(template, model, tmp_path_factory.mktemp("promoted"))
    run = setup.drive(setup.ask())
    assert run.state == "promoted"
    age(setup.deps.lake)
    return setup, run
