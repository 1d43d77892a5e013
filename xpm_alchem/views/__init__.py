"""What the commands show, as plain data with stable keys (docs/json.md)."""
