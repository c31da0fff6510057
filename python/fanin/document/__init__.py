"""Documents: blocks of headings, text, tables and pictures, as an HTML page or as lines of text."""
