"""The watch of the newest release, and the phase of the newest challenger: losses, rows, and the evidence against them."""

from __future__ import annotations

from dashboards.parts.panel import About, SdkPanel, bad_from, single_value, time_series
from dashboards.parts.query import MODEL, Query

_EMPTY = "No release has been watched yet. That is fine: the first version has no version before it."


def losses() -> SdkPanel:
    """Loss: released version and the version before it."""
    about = About(
        title="Loss: released version and the one before",
        unit="none",
        shows="Loss of the newest watched release, and of the version that was served before it, on the same rows.",
        normal="the released version at or below the one before.",
        hint="the released version above: the loop rolls a promotion back when the evidence suffices; see the panel beside.",
        empty=_EMPTY,
    )
    return time_series(
        about,
        Query(
            f"max by (model, version) (homeostat_retraining_watch_loss{{{MODEL}}})", "{{model}} {{version}}"
        ),
        minimum=None,
    )


def evidence() -> SdkPanel:
    """Evidence against the newest release."""
    about = About(
        title="Evidence against the release",
        unit="none",
        shows="Evidence that the newest watched release is worse than the version before it. At 20 a promotion is rolled back.",
        normal="below 20; 1 is no evidence.",
        hint="at 20 the loop has rolled back; `homeostat releases MODEL` has the reason.",
        empty=_EMPTY,
    )
    return single_value(
        about,
        Query(f"max by (model) (homeostat_retraining_watch_evidence{{{MODEL}}})", "{{model}}"),
        steps=bad_from(20),
        decimals=1,
    )


def rows() -> SdkPanel:
    """Rows compared in the watch."""
    about = About(
        title="Rows compared",
        unit="short",
        shows="Rows with outcomes that both versions of the newest watch were scored on.",
        normal="rising while a release is watched.",
        hint="0 for long: outcomes do not arrive; check HomeostatNoOutcomes.",
        empty=_EMPTY,
    )
    return single_value(
        about, Query(f"max by (model) (homeostat_retraining_watch_rows{{{MODEL}}})", "{{model}}"), decimals=0
    )


_NO_PHASE = (
    "No challenger was tried as canary or shadow. That is fine: `rollout` in loop.yaml switches it on."
)


def phase_evidence() -> SdkPanel:
    """Evidence against the newest challenger."""
    about = About(
        title="Evidence against the challenger",
        unit="none",
        shows="Evidence that the newest canary or shadow of a run works worse than the live version (operational) or has "
        "a higher loss on the same rows (quality).",
        normal="both below 20; 1 is none.",
        hint="beyond it the challenger was refused; `homeostat runs` has the reason.",
        empty=_NO_PHASE,
    )
    return time_series(
        about,
        Query(f"max by (model, kind) (homeostat_retraining_phase_evidence{{{MODEL}}})", "{{model}} {{kind}}"),
    )


def phase_running() -> SdkPanel:
    """Challengers that are tried."""
    about = About(
        title="Challengers being tried",
        unit="short",
        shows="1 while a challenger answers a share of the requests (canary) or copies (shadow) before its promotion.",
        normal="1 for as long as `rollout` in loop.yaml says, then 0.",
        hint="1 for much longer: no rows arrive, so event time does not pass; check HomeostatNoPredictions.",
        empty=_NO_PHASE,
    )
    return time_series(
        about,
        Query(f"max by (model, slot) (homeostat_retraining_phase_running{{{MODEL}}})", "{{model}} {{slot}}"),
    )
