# genrestream: one image for every service. `docker run … genrestream COMMAND`, as on the shell.
#
#   docker build -t genrestream .
#
# Runs as an ordinary user, on a read-only root file system with a tmpfs at /tmp.
ARG PYTHON_IMAGE=python:3.11-slim
# EXTRAS adds what one service alone needs: gateway, radio (70 MB), history, notify.
ARG EXTRAS=

FROM ${PYTHON_IMAGE} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/genrestream
WORKDIR /src

# Dependencies first: they change less often than the code, and take most of the time.
COPY pyproject.toml constraints.txt deploy/docker/dependencies.py ./
ARG EXTRAS
RUN python dependencies.py otel ${EXTRAS} > requirements.txt \
 && /opt/genrestream/bin/pip install --constraint constraints.txt --requirement requirements.txt

COPY README.md LICENSE NOTICE ./
COPY schemas schemas
COPY features features
COPY terminal terminal
COPY services services
COPY training training
COPY models models
RUN /opt/genrestream/bin/pip install --no-deps . \
 && /opt/genrestream/bin/pip uninstall --yes --quiet pip setuptools \
 && find /opt/genrestream/lib -type d -name tests -prune -exec rm -rf {} +

# What numba compiles is kept in the image; it fits processors like that of the machine which builds.
COPY deploy/docker/warm_up.py ./
WORKDIR /
RUN NUMBA_CACHE_DIR=/opt/genrestream/numba-cache /opt/genrestream/bin/python /src/warm_up.py

FROM ${PYTHON_IMAGE}
RUN groupadd --gid 10001 genrestream \
 && useradd --uid 10001 --gid genrestream --no-create-home --shell /usr/sbin/nologin genrestream
COPY --from=build /opt/genrestream /opt/genrestream
COPY deploy/docker/entrypoint.sh /usr/local/bin/genrestream-entrypoint
ENV PATH=/opt/genrestream/bin:$PATH \
    HOME=/tmp \
    PYTHONUNBUFFERED=1 \
    ORT_DISABLE_TELEMETRY=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    NUMBA_CACHE_DIR=/tmp/numba-cache \
    GENRESTREAM_HTTP_HOST=0.0.0.0 \
    GENRESTREAM_HTTP_PORT=9464
WORKDIR /tmp
USER 10001:10001
EXPOSE 9464
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
  CMD ["python", "-m", "services.commands.health"]
ENTRYPOINT ["genrestream-entrypoint"]
CMD ["--help"]
