"""Assembles the daemon, reloads its configuration and handles signals."""
