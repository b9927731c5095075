"""Personal data: pseudonyms of values, and how columns of rows are protected before they are stored."""
