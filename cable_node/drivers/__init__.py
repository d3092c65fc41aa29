"""One driver a file, each for one port of `cable_node.ports`."""
