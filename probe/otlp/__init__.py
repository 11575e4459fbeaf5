"""Export of traces and metrics with the OpenTelemetry protocol (OTLP)."""
