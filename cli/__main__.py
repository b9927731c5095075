"""`python -m cli`, the same as `homeostat`."""

from cli.main import app

app(prog_name="homeostat")
