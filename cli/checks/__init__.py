"""The checks of `homeostat doctor`, one subject per module: each returns results with a hint for every failure."""

from cli.checks.check_result import CheckResult

__all__ = ["CheckResult"]
