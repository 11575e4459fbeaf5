"""HTTP server: metrics, pages, API and lifecycle endpoints."""
