"""Meter readings of head-end systems (IEC 61968-9)."""
