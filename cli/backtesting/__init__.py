"""`homeostat backtest` and `homeostat arm`: policies tried on past rows, and written to loop.yaml."""
