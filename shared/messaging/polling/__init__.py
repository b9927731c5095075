"""How often a consumer asks, and when it joins its group again."""
