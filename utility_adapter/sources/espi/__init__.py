"""Green Button (NAESB ESPI 4.0): feeds in, feeds out, and pulling them from a server."""
