"""Colours that colour-blind people can distinguish (Okabe and Ito's eight). Colour is never the only signal:
states are also written as text, and every series has a legend."""

from __future__ import annotations

BLUE = "#0072B2"
SKY = "#56B4E9"
GREEN = "#009E73"
ORANGE = "#E69F00"
VERMILION = "#D55E00"
PURPLE = "#CC79A7"
GREY = "#999999"

GOOD, WARNING, BAD = GREEN, ORANGE, VERMILION

# A label value has the same colour on every board.
OUTCOMES = {"answered": BLUE, "refused": ORANGE, "failed": VERMILION}
KINDS = {"predictions": BLUE, "outcomes": GREEN}
STATES = {
    "ok": GREEN,
    "warming_up": GREY,
    "insufficient_data": PURPLE,
    "not_judged": SKY,
    "drift": ORANGE,
    "data_fault": VERMILION,
}
VERBS = {"retrain": BLUE, "suggest": SKY, "wait": GREY}
RUNS = {
    "promoted": GREEN,
    "succeeded": SKY,
    "refused": ORANGE,
    "rejected": PURPLE,
    "abandoned": GREY,
    "failed": VERMILION,
}
ANNOTATIONS = {"drift": ORANGE, "data_fault": VERMILION, "release": GREEN, "rollback": PURPLE}
