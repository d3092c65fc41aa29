"""AEMO's NEM12 interval files, in and out."""
