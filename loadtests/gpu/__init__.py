"""`make gpu`: what a GPU brings, against bars, beside the bare runtime."""
