"""What boards are put together from: queries, panels, rows, variables, annotations, links, colours."""
