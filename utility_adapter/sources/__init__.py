"""One format a file: what utilities send, and what we send them."""
