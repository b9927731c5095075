"""A model of either format behind one class, for deployment, the gate and fault injection."""
