"""Everything that touches a broker: clients, security, topics, faust, and the fixes it needs."""
