"""Where training commands run: as processes of this machine."""
