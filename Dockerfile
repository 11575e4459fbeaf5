# Image of inference-probe, without compiler and shell scripts, for a non-root user.
#   docker build -t inference-probe .
#   docker run --rm --read-only -p 127.0.0.1:10115:10115 -v ./probe.yml:/etc/inference-probe/probe.yml inference-probe
# The lock files pin all packages with hashes, for every architecture. CONTRIBUTING.md explains how to update them and
# the base image. To use another base image: --build-arg PYTHON_IMAGE=python:3.13-slim
ARG PYTHON_IMAGE=python:3.13-slim@sha256:7c61056e61ac89e852de05f3dc6fa51a6dd2181797bceed46aa725dd7cb2cd3b

FROM ${PYTHON_IMAGE} AS build
WORKDIR /src
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore
# The virtual environments have no pip, which the image does not need. Only wheels are installed, so no
# architecture needs a compiler.
RUN python3 -m venv --without-pip /opt/inference-probe \
 && python3 -m venv --without-pip /opt/build
COPY requirements.lock requirements-build.lock ./
RUN python3 -m pip --python /opt/inference-probe/bin/python install --only-binary=:all: \
      --require-hashes --requirement requirements.lock \
 && python3 -m pip --python /opt/build/bin/python install --only-binary=:all: \
      --require-hashes --requirement requirements-build.lock
COPY pyproject.toml README.md LICENSE CHANGELOG.md ./
COPY config config
COPY rules rules
COPY probe probe
RUN /opt/build/bin/python -m hatchling build --target wheel --directory /dist \
 && python3 -m pip --python /opt/inference-probe/bin/python install --no-index --no-deps /dist/*.whl
# Compile here, because the file system is read-only at run time. PYTHONOPTIMIZE below selects this level, which the
# daemon passes on to its worker process.
RUN /opt/inference-probe/bin/python -m compileall -q -o 2 --invalidation-mode unchecked-hash /opt/inference-probe/lib

FROM ${PYTHON_IMAGE}
# The base image has no byte code of the standard library: each start would compile it, which takes 1 s of CPU time.
RUN python3 -m compileall -q -o 2 --invalidation-mode unchecked-hash \
      -x '/(site-packages|tests?|idlelib|turtledemo|lib2to3)/' \
      "$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')"
ARG VERSION=development
ARG REVISION=unknown
LABEL org.opencontainers.image.title="inference-probe" \
      org.opencontainers.image.description="Synthetic latency probes for machine-learning model endpoints" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="https://github.com/inference-probe/inference-probe" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /opt/inference-probe /opt/inference-probe
# PYTHONOPTIMIZE: without docstrings and assertions, the daemon takes 2 MB less memory.
ENV PATH=/opt/inference-probe/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONOPTIMIZE=2 \
    PYTHONUNBUFFERED=1
USER 65532:65532
WORKDIR /etc/inference-probe
EXPOSE 10115
# For another port, TLS or users: set INFERENCE_PROBE_DAEMON_URL and the other variables of this command.
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["inference-probe", "healthy"]
ENTRYPOINT ["inference-probe"]
# Reads /etc/inference-probe/probe.yml, unless variables name one endpoint.
CMD ["run"]
