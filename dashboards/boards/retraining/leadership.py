"""The service that drives runs: leader, listener, mirror."""

from __future__ import annotations

from dashboards.parts.palette import BAD, BLUE, GOOD, GREY, ORANGE
from dashboards.parts.panel import About, SdkPanel, bad_from, single_value, state_timeline, time_series
from dashboards.parts.query import MODEL, Query, events

NO_SERVICE = "No retraining service is scraped: `homeostat status`, then `homeostat doctor`."


def leader() -> SdkPanel:
    """Who drives."""
    about = About(
        title="Who drives",
        unit="none",
        means="Which process drives runs. Others answer and wait.",
        normal="exactly one.",
        hint="HomeostatNoLeader: `homeostat status`; the ledger's store may be away.",
        empty=NO_SERVICE,
    )
    return state_timeline(
        about,
        Query(
            "max by (instance) (homeostat_retraining_leader) - 2 + 2 * max by (instance) (homeostat_retraining_ledger_up)",
            "{{instance}}",
        ),
        words={
            1: ("drives", GOOD),
            0: ("waits", GREY),
            -1: ("ledger away", BAD),
            -2: ("ledger away", BAD),
        },
    )


def listener() -> SdkPanel:
    """Verdicts topic read."""
    about = About(
        title="Verdicts topic read",
        unit="none",
        means="Whether the process reads verdicts from Kafka.",
        normal="reading; switched off where HOMEOSTAT_RETRAINING_LISTEN is false.",
        hint="Kafka is away: verdicts wait there; alerts still come by the webhook.",
        empty=NO_SERVICE,
    )
    return state_timeline(
        about,
        Query(
            "max by (instance) (homeostat_retraining_listener_up) - 1 + max by (instance) (homeostat_retraining_listening)",
            "{{instance}}",
        ),
        words={1: ("reading", GOOD), 0: ("not reading", BAD), -1: ("switched off", GREY)},
    )


def mirror() -> SdkPanel:
    """Entries MLflow lacks."""
    about = About(
        title="Entries MLflow lacks",
        unit="short",
        means="Entries of the ledger that the MLflow mirror has not taken.",
        normal="0.",
        hint="MLflow is away; nothing waits for it, and it catches up.",
        empty=NO_SERVICE,
    )
    return single_value(
        about, Query("max(homeostat_retraining_mirror_pending_entries)", "entries"), steps=bad_from(1000)
    )


def generation() -> SdkPanel:
    """Newest generation."""
    about = About(
        title="Newest generation",
        unit="none",
        means="The newest entry of each model's release log.",
        normal="what the servers serve.",
        hint="HomeostatServersDisagree rings when they do not.",
        empty="Nothing was released yet: deploy a model with `homeostat deploy`.",
    )
    return single_value(
        about, Query(f"max by (model) (homeostat_retraining_generation{{{MODEL}}})", "{{model}}")
    )


def annotations_sent() -> SdkPanel:
    """Annotations sent to Grafana."""
    about = About(
        title="Annotations sent to Grafana",
        unit="short",
        means="Marks retraining wanted to set: sent, dropped (too many waiting, or Grafana away too "
        "long) or refused (by Grafana).",
        normal="all sent, where a Grafana is configured.",
        hint="refused: the token may not write annotations (HOMEOSTAT_GRAFANA_TOKEN). Nothing waits for this.",
        empty="None: no Grafana is configured (HOMEOSTAT_GRAFANA_URL), or nothing was to be marked.",
    )
    return time_series(
        about,
        Query(events("homeostat_retraining_annotations_total", "result", ""), "{{result}}"),
        bars=True,
        colors={"sent": BLUE, "dropped": ORANGE, "refused": BAD},
    )
