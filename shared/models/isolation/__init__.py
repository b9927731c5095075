"""Models run in a process of their own, within limits of memory and time: a crash or a hang ends only that process."""
