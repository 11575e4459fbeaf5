"""Helpers that read the documents, run their commands and check their configs."""
