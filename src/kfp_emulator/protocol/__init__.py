"""The format of requests and answers: JSON as protojson reads it, messages, filters, page tokens, KFP's errors."""
