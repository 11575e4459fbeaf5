"""A real model server: llama.cpp with a tiny random model."""
