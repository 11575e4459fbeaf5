"""HTTP client that records kernel timestamps: connections, requests and responses."""
