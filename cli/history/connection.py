"""What an import needs of an installation: a loop.yaml, pseudonyms, and a producer with the keys of the prediction log."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from shared.contracts.loop_spec import LoopSpec
from shared.errors import NotFound
from shared.messaging.interfaces import Producer

if TYPE_CHECKING:
    from local_stack.settings import LocalStackSettings


def loop_of(settings: LocalStackSettings, model: str, project: Path | None) -> LoopSpec:
    """The loop.yaml of the project, or of the model's live version. Raises NotFound, ProjectError, DependencyUnavailable."""
    from shared.contracts.loop_yaml import read_loop_spec
    from shared.models.signed_versions.installation_keys import Keys
    from shared.stores.model_store import open_model_store

    if project is not None:
        loop = read_loop_spec(project)
        if loop.model != model:
            raise NotFound(
                f"loop.yaml of {project} is of {loop.model}, not of {model}", hint="name its model"
            )
        return loop
    store = open_model_store(settings.model_store_url, Keys(settings.home / "keys"))
    release = store.live_release(model)
    if release is None:
        known = ", ".join(store.models())
        raise NotFound(
            f"{settings.home} has no released model {model}",
            hint=f"it has {known}; or give the folder of loop.yaml with --project"
            if known
            else "give the folder of its loop.yaml with --project",
        )
    return store.manifest(model, release.version).loop


def pseudonymise(settings: LocalStackSettings) -> Callable[[str], str]:
    """The pseudonyms of the installation. Its key is read with the first value that needs one, which may raise OperatorError."""
    from shared.models.signed_versions.key_files import PSEUDONYMS
    from shared.personal_data.pseudonyms import Pseudonyms

    @cache
    def pseudonyms() -> Pseudonyms:
        return Pseudonyms.read(settings.home / "keys" / PSEUDONYMS)

    return lambda value: pseudonyms().of(value)


@contextmanager
def log_producer(settings: LocalStackSettings) -> Iterator[Producer]:
    """A producer whose records the sink accepts. Raises OperatorError without the keys of the installation."""
    from shared.messaging.producer import open_producer
    from shared.messaging.record_mac import AuthenticatingProducer, RecordMac
    from shared.messaging.security.kafka_security import kafka_security
    from shared.messaging.security.settings import KafkaSettings
    from shared.models.signed_versions.key_files import PREDICTION_LOG, record_secrets

    mac = RecordMac(record_secrets(settings.home / "keys" / PREDICTION_LOG))
    producer = AuthenticatingProducer(
        open_producer(settings.kafka, "homeostat-import", security=kafka_security(KafkaSettings())), mac
    )
    try:
        yield producer
    finally:
        producer.close()
