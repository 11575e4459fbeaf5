"""Runs one probe: sends the request, evaluates the response and classifies failures."""
