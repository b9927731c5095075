"""Commands about data sets: `homeostat check` and `homeostat eda`."""
