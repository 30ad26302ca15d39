"""What the wire says: JSON as protojson reads it, messages, filters, page tokens, and faults in KFP's words."""
