"""From the power that is asked of an area to a setpoint for each of its resources."""
