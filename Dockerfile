# Two images from one file (docs/cluster-install.md):
#
#   docker build -t decant .                                    dashboard and worker, for a cluster: manifests/decant
#   docker build -t decant-all-in-one --target all-in-one .     everything with the local engine, for one machine
#
# Both run as a user without rights on a read-only root; all they write goes to /var/lib/decant and /tmp.

FROM python:3.11-slim-bookworm AS packages
COPY requirements.txt /tmp/requirements.txt
RUN python -m venv /opt/venv \
    && /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check --requirement /tmp/requirements.txt

FROM python:3.11-slim-bookworm AS base
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    GIT_PYTHON_REFRESH=quiet \
    DECANT_STATE_DIR=/var/lib/decant
COPY --from=packages /opt/venv /opt/venv
WORKDIR /opt/decant
COPY .streamlit .streamlit
COPY data data
COPY manifests/examples manifests/examples
COPY scripts/healthy.py scripts/healthy.py
COPY services services
COPY app app
COPY pages pages
# A volume that is mounted here belongs to whoever made it: with Docker it takes over this folder's owner.
RUN python -m compileall -q app pages services \
    && useradd --uid 10001 --user-group --no-create-home --home-dir /tmp decant \
    && install -d -o decant -g decant /var/lib/decant
USER 10001:10001
VOLUME /var/lib/decant
ENTRYPOINT ["python", "-m", "app"]

FROM base AS all-in-one
USER 0:0
# Debian's security fixes are worth more here than the same bytes every time.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends prometheus \
    && rm -rf /var/lib/apt/lists/*
USER 10001:10001
ENV DECANT_DASHBOARD_ADDRESS=0.0.0.0 \
    DECANT_GATEWAY_ADDRESS=0.0.0.0 \
    DECANT_PROMETHEUS_BIN=/usr/bin/prometheus
EXPOSE 8501 8003
HEALTHCHECK --interval=10s --timeout=6s --start-period=4m --retries=3 \
    CMD ["python", "-S", "/opt/decant/scripts/healthy.py", "dashboard"]
CMD ["up"]

# Last, so that it is what `docker build .` makes.
FROM base AS decant
ENV DECANT_DASHBOARD_ADDRESS=0.0.0.0
EXPOSE 8501
# Of the dashboard. A container with the worker gives `python scripts/healthy.py worker` instead.
HEALTHCHECK --interval=10s --timeout=6s --start-period=1m --retries=3 \
    CMD ["python", "-S", "/opt/decant/scripts/healthy.py", "dashboard"]
CMD ["part", "dashboard"]
