# inference-probe as an image: no compiler, no shell script, no root.
#   docker build -t inference-probe .
#   docker run --rm --read-only -p 10115:10115 -v ./probe.yml:/etc/inference-probe/probe.yml inference-probe
ARG PYTHON=python:3.13-slim

FROM ${PYTHON} AS build
WORKDIR /src
RUN python3 -m venv /opt/inference-probe
COPY pyproject.toml README.md LICENSE CHANGELOG.md ./
COPY config config
COPY rules rules
COPY probe probe
# Compiled now, since nothing can be written later; pip is of no use in the image.
RUN /opt/inference-probe/bin/python -m pip install --no-cache-dir --disable-pip-version-check . \
 && /opt/inference-probe/bin/python -m pip uninstall --yes --quiet pip setuptools \
 && /opt/inference-probe/bin/python3 -m compileall -q /opt/inference-probe/lib

FROM ${PYTHON}
LABEL org.opencontainers.image.title="inference-probe" \
      org.opencontainers.image.description="Synthetic latency probes for machine-learning model endpoints" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/inference-probe /opt/inference-probe
ENV PATH=/opt/inference-probe/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 65532:65532
WORKDIR /etc/inference-probe
EXPOSE 10115
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s \
  CMD ["python3", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:10115/-/healthy', timeout=2)"]
ENTRYPOINT ["inference-probe"]
CMD ["run", "--config.file=/etc/inference-probe/probe.yml"]
