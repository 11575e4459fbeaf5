"""Charts as SVG, and HTML files with them that need no other file."""
