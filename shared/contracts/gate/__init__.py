"""`gate` in loop.yaml, beside the gain: what else a challenger must not make worse."""
