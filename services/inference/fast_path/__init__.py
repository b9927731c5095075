"""The fast path: requests for predictions are answered below ASGI, those it does not fully understand in the ordinary way."""
