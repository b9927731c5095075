"""The checks of the gate, each a pure function of measurements."""
