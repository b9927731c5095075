"""Leader, verdict consumer, MLflow backlog."""

from __future__ import annotations

from dashboards.parts.palette import BAD, BLUE, GOOD, GREY, ORANGE
from dashboards.parts.panel import About, SdkPanel, bad_from, single_value, state_timeline, time_series
from dashboards.parts.query import MODEL, Query, events

NO_SERVICE = "No retraining service is scraped: `homeostat status`, then `homeostat doctor`."


def leader() -> SdkPanel:
    """Leader."""
    about = About(
        title="Leader",
        unit="none",
        shows="Which process executes runs. The other processes only serve the API.",
        normal="exactly one.",
        hint="HomeostatNoLeader: `homeostat status`; the ledger's database may be unavailable.",
        empty=NO_SERVICE,
    )
    return state_timeline(
        about,
        Query(
            "max by (instance) (homeostat_retraining_leader) - 2 + 2 * max by (instance) (homeostat_retraining_ledger_up)",
            "{{instance}}",
        ),
        words={
            1: ("leader", GOOD),
            0: ("standby", GREY),
            -1: ("ledger unavailable", BAD),
            -2: ("ledger unavailable", BAD),
        },
    )


def listener() -> SdkPanel:
    """Verdict consumer."""
    about = About(
        title="Verdict consumer",
        unit="none",
        shows="Whether the process reads verdicts from Kafka.",
        normal="reading; off if HOMEOSTAT_RETRAINING_LISTEN is false.",
        hint="Kafka is unavailable: verdicts stay in drift's store until it is back; alerts still arrive by webhook.",
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


def mlflow_backlog() -> SdkPanel:
    """MLflow backlog."""
    about = About(
        title="MLflow backlog",
        unit="short",
        shows="Ledger entries that have not been written to MLflow.",
        normal="0.",
        hint="MLflow is unavailable; nothing depends on it, and unsent entries are sent later.",
        empty=NO_SERVICE,
    )
    return single_value(
        about, Query("max(homeostat_retraining_mlflow_pending_entries)", "entries"), steps=bad_from(1000)
    )


def generation() -> SdkPanel:
    """Latest generation."""
    about = About(
        title="Latest generation",
        unit="none",
        shows="The latest entry of each model's release log.",
        normal="the generation that the servers serve.",
        hint="HomeostatServersDisagree fires when they differ.",
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
        shows=(
            "Annotations by result: sent, dropped (queue full, or Grafana unavailable too long) or refused by "
            "Grafana."
        ),
        normal="all sent, if Grafana is configured.",
        hint=(
            "refused: the token needs permission to write annotations (HOMEOSTAT_GRAFANA_TOKEN). Nothing else is "
            "affected."
        ),
        empty="None: Grafana is not configured (HOMEOSTAT_GRAFANA_URL), or there was nothing to annotate.",
    )
    return time_series(
        about,
        Query(events("homeostat_retraining_annotations_total", "result", ""), "{{result}}"),
        bars=True,
        colors={"sent": BLUE, "dropped": ORANGE, "refused": BAD},
    )
