"""Every disk that a power cut can leave, rebuilt and opened. A kill -9 does not test fsync."""
