"""Capacity of model servers: how many instances a request rate needs, and which batches."""
