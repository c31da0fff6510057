"""Documents: blocks of headings, text, tables and pictures, written as a page or as lines."""
