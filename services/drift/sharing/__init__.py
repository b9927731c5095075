"""Several drift processes share the models: which of them judges which model, and how one takes over from another."""
