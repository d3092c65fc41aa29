"""What a site and its cables are believed, and what may flow there."""
