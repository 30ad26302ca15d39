"""HTTP: connections, routing, faults done to requests, and the document that describes it all."""
