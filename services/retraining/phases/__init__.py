"""Phases between gate and promotion: a challenger serves as shadow or canary and is judged, before it is promoted or refused."""
