"""What errors about an isolated process say: its service knows what the model is used for and which settings are the limits."""

from __future__ import annotations

from dataclasses import dataclass

from shared.errors import UnservableModel


@dataclass(frozen=True)
class Wording:
    """`process` names the process. `{mib}` and `{seconds}` in the messages stand for the limits.

    `loading` and `running`: what crashed. Each hint says what to do next.
    """

    process: str
    loading: str
    running: str
    crash_hint: str
    memory: str
    memory_hint: str
    time: str
    time_hint: str

    def too_large(self, memory_bytes: int) -> UnservableModel:
        """The model needs more memory than the limit."""
        return UnservableModel(self.memory.format(mib=memory_bytes >> 20), hint=self.memory_hint)

    def too_slow(self, seconds: float) -> UnservableModel:
        """The model did not answer within the limit."""
        return UnservableModel(self.time.format(seconds=f"{seconds:g}"), hint=self.time_hint)

    def crashed(self, do: str, how: str) -> UnservableModel:
        """The process ended while it loaded (`do` is `load`) or ran the model. `how`: such as `by SIGFPE`."""
        what = self.loading if do == "load" else self.running
        why = ", which Linux sends if memory is short" if how.endswith("SIGKILL") else ""
        return UnservableModel(
            f"{what} crashed: the isolated process was ended {how}{why}", hint=self.crash_hint
        )
