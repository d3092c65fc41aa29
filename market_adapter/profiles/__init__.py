"""Market profiles that come with the adapter, and what reads them and others like them."""
