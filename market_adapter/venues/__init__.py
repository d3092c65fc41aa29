"""One venue a file behind one port; a venue is the adapter's secret."""
