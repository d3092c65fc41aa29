"""A simulated SunSpec battery or charging station, byte by byte over Modbus TCP."""
