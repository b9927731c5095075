"""Building blocks of boards: queries, panels, rows, variables, annotations, links, colours."""
