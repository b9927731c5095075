"""What the examples share: the stack, its data folder, the simulated clock, and the state of the loop."""
