"""One window measured against its reference, and the verdict that follows."""
