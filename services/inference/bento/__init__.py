"""BentoML's side of the service: the types of its methods, and its application with ours behind them."""
