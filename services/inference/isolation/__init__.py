"""New versions are loaded and probed in a process of their own first: a crash, a hang or a lack of memory ends only that."""
