"""The doctor's checks, one noun per file: each looks at one thing and says what it found and what would mend it."""

from cli.checks.check_result import Finding

__all__ = ["Finding"]
